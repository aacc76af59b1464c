#!/usr/bin/env python3
"""Makes further codestreams of the band in a scene, for the benchmark of decoders.

    apt-get install openjph-tools; pip install numpy rasterio
    make.py SCENE

SCENE is what benches/views/make_scene.py made: B04.npy is read. Writes B04_97.jp2 (the
irreversible transform, a quarter of the size), B04_ht.j2c (high-throughput code-blocks) and
one_tile.jp2 (8,000 x 8,000 pixels in one tile, with precincts and PLT).
"""
import os
import subprocess
import sys
import tempfile

import numpy as np
import rasterio
from rasterio.shutil import copy


def with_gdal(path: str, pixels: np.ndarray, **options: str) -> None:
    height, width = pixels.shape
    with tempfile.TemporaryDirectory() as folder:
        tif = os.path.join(folder, "band.tif")
        profile = dict(driver="GTiff", width=width, height=height, count=1, dtype="uint16")
        with rasterio.open(tif, "w", **profile) as out:
            out.write(pixels, 1)
        precincts = ",".join(["{256,256}"] * 5)
        copy(tif, path, driver="JP2OpenJPEG", RESOLUTIONS="5", PRECINCTS=precincts, PLT="YES", NBITS="15", **options)


def main() -> None:
    scene = sys.argv[1]
    band = np.load(os.path.join(scene, "B04.npy"))
    tiles = dict(BLOCKXSIZE="1024", BLOCKYSIZE="1024", PROGRESSION="LRCP")
    with_gdal(os.path.join(scene, "B04_97.jp2"), band, REVERSIBLE="NO", QUALITY="25", **tiles)
    one = dict(BLOCKXSIZE="8000", BLOCKYSIZE="8000", PROGRESSION="RPCL")
    with_gdal(os.path.join(scene, "one_tile.jp2"), band[:8000, :8000], REVERSIBLE="YES", QUALITY="100", **one)
    with tempfile.NamedTemporaryFile(suffix=".pgm") as pgm:
        pgm.write(f"P5 {band.shape[1]} {band.shape[0]} 65535\n".encode())
        pgm.write(band.astype(">u2").tobytes())
        pgm.flush()
        out = os.path.join(scene, "B04_ht.j2c")
        call = ["ojph_compress", "-i", pgm.name, "-o", out, "-reversible", "true", "-num_decomps", "4"]
        subprocess.run([*call, "-tile_size", "{1024,1024}", "-prog_order", "RPCL"], check=True)


if __name__ == "__main__":
    main()
