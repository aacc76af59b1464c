#!/usr/bin/env python3
"""Makes a large COG, or does one work on one and prints how long it took.

    pip install imagecodecs numpy rasterio
    cog.py make TO MEGABYTES jpeg|deflate|zstd
    cog.py window|overview|npy PATH

A COG is made of some sixty tiles that differ, one after the other, again and again: writing it
takes no longer than its bytes do. `window` is 512 x 512 pixels that lie across four tiles,
`overview` all of it at about 1024 pixels, both by rasterio as it is; `npy` is the window by
numpy.memmap. Starting Python and loading the library do not count. PATH may be one of GDAL's own.
"""
import struct
import sys
import time
import warnings
import zlib

import numpy as np

TILE = 512
KINDS = {"jpeg": 7, "deflate": 8, "zstd": 50000}


def tiles(kind: str) -> list[bytes]:
    """Compressed tiles of something that looks like land from above."""
    import imagecodecs

    random, made = np.random.default_rng(7), []
    y, x = np.mgrid[0:TILE, 0:TILE]
    for number in range(60):
        waves = np.sin(x / (9 + number % 7) + number) * np.cos(y / (11 + number % 5))
        rough = random.normal(0, 24, (TILE, TILE, 3))
        pixels = np.clip(120 + 60 * waves[:, :, None] + rough, 0, 255).astype(np.uint8)
        if kind == "jpeg":
            made.append(imagecodecs.jpeg8_encode(pixels, level=90, colorspace="RGB", outcolorspace="YCbCr"))
        elif kind == "deflate":
            made.append(zlib.compress(pixels.tobytes(), 6))
        else:
            made.append(imagecodecs.zstd_encode(pixels.tobytes(), level=9))
    return made


def make(path: str, megabytes: float, kind: str) -> None:
    kept = tiles(kind)
    mean = sum(map(len, kept)) / len(kept)
    side = max(2, round((megabytes * 1e6 / 4 * 3 / mean) ** 0.5))
    levels = [side * TILE]
    while levels[-1] > TILE:
        levels.append(-(-levels[-1] // 2))
    counts = [(-(-level // TILE)) ** 2 for level in levels]
    # The directories, then the tables of each, then tiles: the smallest overview first.
    entries = 11
    tables = 8 + len(levels) * (2 + entries * 12 + 4)
    start = tables + sum(count * 8 for count in counts) + 6
    places: list[list[tuple[int, int]]] = [[] for _ in levels]
    order = []
    for level in reversed(range(len(levels))):
        for number in range(counts[level]):
            tile = kept[number * 7 % len(kept)]
            places[level].append((start, len(tile)))
            order.append(tile)
            start += len(tile)
    with open(path, "wb") as file:
        file.write(b"II*\0" + struct.pack("<I", 8))
        table = tables
        bits = tables + sum(count * 8 for count in counts)
        for level, (size, count) in enumerate(zip(levels, counts)):
            single = count == 1
            offsets = places[level][0][0] if single else table
            lengths = places[level][0][1] if single else table + count * 4
            directory = [
                (254, 4, 1, int(level > 0)), (256, 4, 1, size), (257, 4, 1, size), (258, 3, 3, bits),
                (259, 3, 1, KINDS[kind]), (262, 3, 1, 6 if kind == "jpeg" else 2), (277, 3, 1, 3),
                (322, 4, 1, TILE), (323, 4, 1, TILE), (324, 4, count, offsets), (325, 4, count, lengths),
            ]
            file.write(struct.pack("<H", entries))
            for tag, form, number, value in directory:
                file.write(struct.pack("<HHII", tag, form, number, value))
            last = level + 1 == len(levels)
            file.write(struct.pack("<I", 0 if last else file.tell() + 4))
            table += count * 8
        for level in places:
            file.write(struct.pack(f"<{len(level)}I", *(at for at, _ in level)))
            file.write(struct.pack(f"<{len(level)}I", *(length for _, length in level)))
        file.write(struct.pack("<HHH", 8, 8, 8))
        for tile in order:
            file.write(tile)


def work(name: str, path: str) -> float:
    if name == "npy":
        started = time.perf_counter()
        array = np.load(path, mmap_mode="r")
        at = array.shape[0] // 2 // TILE * TILE + TILE // 2
        np.ascontiguousarray(array[at : at + TILE, at : at + TILE])
        return time.perf_counter() - started
    import rasterio
    from rasterio.windows import Window

    warnings.filterwarnings("ignore")
    with rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR", GDAL_NUM_THREADS="1"):
        started = time.perf_counter()
        with rasterio.open(path) as image:
            if name == "window":
                at = image.height // 2 // TILE * TILE + TILE // 2
                image.read(window=Window(at, at, TILE, TILE))
            elif name == "overview":
                image.read(out_shape=(image.count, 1024, 1024))
            else:
                raise SystemExit(f"there is no work {name}")
        return time.perf_counter() - started


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(sys.argv[2], float(sys.argv[3]), sys.argv[4])
    else:
        print(work(sys.argv[1], sys.argv[2]))
