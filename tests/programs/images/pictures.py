"""Pixels for images that are made: the same in each run, neither flat nor mere noise."""

import zlib

import numpy as np


def smooth(height: int, width: int, bands: int) -> np.ndarray:
    """Between 0 and 1, without sharp edges: for codecs that lose something."""
    y, x = np.mgrid[0:height, 0:width]
    planes = [
        0.5 + 0.45 * np.sin(x / (17 + 3 * k) + k) * np.cos(y / (13 + 2 * k) - k)
        for k in range(bands)
    ]
    return np.dstack(planes)


def noise(name: str) -> np.random.Generator:
    """Random numbers that depend on the name of the image alone."""
    return np.random.default_rng(zlib.crc32(name.encode()))


def integers(name: str, size: tuple[int, int, int], bits: int, signed: bool = False) -> np.ndarray:
    """Smooth, with some noise and each extreme value at least once."""
    height, width, bands = size
    top = (1 << bits) - 1
    rng = noise(name)
    values = smooth(height, width, bands) + rng.normal(0, 0.02, size)
    array = (np.clip(values, 0, 1) * top).astype(np.float64)
    array = np.minimum(array, np.nextafter(2.0**bits, 0)) if bits > 52 else array
    whole = array.astype(np.uint64)
    spots = rng.integers(0, height * width, 20)
    flat = whole.reshape(-1, bands)
    flat[spots[:10]] = 0
    flat[spots[10:]] = top
    kept = 8 if bits <= 8 else 16 if bits <= 16 else 32 if bits <= 32 else 64
    if not signed:
        return whole.astype(f"u{kept // 8}")
    if bits == 64:
        return (whole ^ np.uint64(1 << 63)).view(np.int64)
    return (whole.astype(np.int64) - (1 << (bits - 1))).astype(f"i{kept // 8}")


def floats(name: str, size: tuple[int, int, int], dtype: str) -> np.ndarray:
    """With both infinities, NaN, zeros of both signs and small numbers."""
    height, width, bands = size
    rng = noise(name)
    array = (smooth(height, width, bands) - 0.4) * 1000 + rng.normal(0, 5, size)
    flat = array.reshape(-1)
    special = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-5, -9999.0, 32767.0, 0.5]
    flat[rng.integers(0, flat.size, len(special))] = special
    return array.astype(dtype)


def drawn(height: int, width: int) -> np.ndarray:
    """Black and white, with runs of many lengths: for fax."""
    y, x = np.mgrid[0:height, 0:width]
    return (((x * x + y * y) // 97 + (x // 5) * (y // 7)) % 3 == 0).astype(np.uint8)
