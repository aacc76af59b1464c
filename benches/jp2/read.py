#!/usr/bin/env python3
"""Does one work on one image with rasterio as it is, and prints how long it took.

    pip install rasterio
    read.py WORK PATH

Works: header (open it), crop (500 x 500 pixels near the lower right corner), overview (all of
it at 1/16), whole. Starting Python and loading the library do not count. PATH may be one of
GDAL's own, such as /vsis3/bucket/key. `read.py cog FROM TO` writes a COG of the same pixels.
"""
import sys
import time
import warnings

import rasterio
from rasterio.shutil import copy
from rasterio.windows import Window

warnings.filterwarnings("ignore")


def read(work: str, path: str) -> float:
    started = time.perf_counter()
    with rasterio.open(path) as image:
        if work == "crop":
            column, row = image.width * 9500 // 10980, image.height * 9500 // 10980
            image.read(1, window=Window(column, row, 500, 500))
        elif work == "overview":
            # A file that is the overview has no other.
            by = 16 if image.width > 2000 else 1
            image.read(1, out_shape=(-(-image.height // by), -(-image.width // by)))
        elif work == "whole":
            image.read(1)
        elif work != "header":
            raise SystemExit(f"there is no work {work}")
    return time.perf_counter() - started


if __name__ == "__main__":
    if sys.argv[1] == "cog":
        copy(sys.argv[2], sys.argv[3], driver="COG", compress="DEFLATE", predictor="2", blocksize=512, nbits=16)
    else:
        with rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR", GDAL_NUM_THREADS="1"):
            print(read(sys.argv[1], sys.argv[2]))
