"""Reads an image and its siblings over HTTP, and compares them with a copy on disk.

Called with the URL of a JPEG 2000 image that `s3mem serve` serves, and the copy's path.
"""

import io
import sys
import urllib.request

import numpy as np
import rasterio
from PIL import Image


class Ranges(io.RawIOBase):
    """A file that is read in ranges, as fsspec and pandas read from URLs."""

    def __init__(self, url):
        self.url, self.at = url, 0
        with urllib.request.urlopen(urllib.request.Request(url, method="HEAD")) as answer:
            self.size = int(answer.headers["Content-Length"])

    def readable(self):
        return True

    def seekable(self):
        return True

    def tell(self):
        return self.at

    def seek(self, offset, whence=io.SEEK_SET):
        self.at = offset + {0: 0, 1: self.at, 2: self.size}[whence]
        return self.at

    def readinto(self, buffer):
        end = min(self.at + len(buffer), self.size)
        if end <= self.at:
            return 0
        headers = {"Range": f"bytes={self.at}-{end - 1}"}
        with urllib.request.urlopen(urllib.request.Request(self.url, headers=headers)) as answer:
            assert answer.status == 206, answer.status
            bytes_read = answer.read()
        assert len(bytes_read) == end - self.at
        buffer[: len(bytes_read)] = bytes_read
        self.at = end
        return len(bytes_read)


def main(url, path):
    with rasterio.open(path) as source:
        wanted = source.read()
        small = source.read(out_shape=(source.count, source.height // 4, source.width // 4))
    # GDAL, by itself and through a sibling with overviews.
    for name in (f"/vsicurl/{url}", f"/vsicurl/{url}.tif"):
        with rasterio.open(name) as source:
            assert np.array_equal(source.read(), wanted), name
    with rasterio.open(f"/vsicurl/{url}.tif") as source:
        assert source.overviews(1), "no overviews"
        got = source.read(out_shape=small.shape)
        assert got.shape == small.shape
    # numpy and Pillow, from ranges alone.
    array = np.load(io.BufferedReader(Ranges(url + ".npy"), 1 << 16))
    assert np.array_equal(array, wanted[0]), "npy"
    with Image.open(io.BufferedReader(Ranges(url + ".png"))) as picture:
        assert np.array_equal(np.asarray(picture), wanted[0]), "png"
    with open(path, "rb") as file:
        assert Ranges(url).read() == file.read()


main(*sys.argv[1:])
