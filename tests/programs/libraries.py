"""Python packages that open a file by its name."""

import hashlib
import mmap
import os
import shutil
import sqlite3
import zipfile
from pathlib import Path

import cv2
import h5py
import matplotlib
import numpy as np
import rasterio
from PIL import Image
from rasterio.windows import Window

from result import BAND, contents, digest

matplotlib.use("Agg")
import matplotlib.image as mpimg  # noqa: E402

PICTURES = ["images/photo.png", "images/photo.jpg", "images/photo.jp2", BAND]


def pixels(array: np.ndarray) -> str:
    data = digest(np.ascontiguousarray(array).tobytes())
    return f"{array.shape} {array.dtype} {data}"


def pillow(root: Path, scratch: Path) -> dict:
    results = {}
    for name in [*PICTURES, "images/a name with spaces.png"]:
        with Image.open(root / name) as image:
            results[name] = f"{image.format} {image.mode} {pixels(np.asarray(image))}"
    with Image.open(root / "images/photo.jp2") as image:
        image.reduce = 2
        image.load()
        results["a quarter of the resolution"] = pixels(np.asarray(image))
    with Image.open(root / "images/photo.jpg") as image:
        image.thumbnail((100, 100))
        results["thumbnail"] = pixels(np.asarray(image))
    return results


def imread(root: Path, scratch: Path) -> dict:
    """The question that started the project: mpimg.imread of a band."""
    return {name: pixels(mpimg.imread(str(root / name))) for name in PICTURES}


def opencv(root: Path, scratch: Path) -> dict:
    results = {}
    for name in [*PICTURES, "images/scene.tif"]:
        image = cv2.imread(str(root / name), cv2.IMREAD_UNCHANGED)
        if image is None:
            raise RuntimeError(f"cv2.imread returned nothing for {root / name}")
        results[name] = pixels(image)
    clip = cv2.VideoCapture(str(root / "media/clip.mp4"))
    frames = []
    while True:
        more, frame = clip.read()
        if not more:
            break
        frames.append(frame)
    clip.release()
    results["frames"] = pixels(np.stack(frames))
    return results


def raster(root: Path, scratch: Path) -> dict:
    results = {}
    with rasterio.open(root / "images/scene.tif") as scene:
        results["georeference"] = f"{scene.crs} {scene.transform}"
        results["whole"] = pixels(scene.read())
        results["window"] = pixels(scene.read(1, window=Window(700, 500, 300, 200)))
        results["overviews"] = scene.overviews(1)
        results["an eighth"] = pixels(scene.read(out_shape=(3, 192, 256)))
    with rasterio.open(root / BAND) as band:
        results["band"] = pixels(band.read(1, window=Window(100, 100, 500, 400)))
        results["band, reduced"] = pixels(
            band.read(1, out_shape=(band.height // 8, band.width // 8))
        )
    return results


def memmap(root: Path, scratch: Path) -> dict:
    cube = np.load(root / "arrays/cube.npy", mmap_mode="r")
    raw = np.memmap(root / "arrays/cube.f4", dtype="<f4", mode="r", shape=(64, 128, 128))
    return {
        "one plane from the end": pixels(cube[63]),
        "a stride through all": pixels(cube[::-7, ::16, 5]),
        "all": pixels(cube),
        "raw column": pixels(raw[:, 17, 99]),
        "raw": pixels(raw),
        "sum": float(raw.sum(dtype=np.float64)),
    }


def hdf5(root: Path, scratch: Path) -> dict:
    with h5py.File(root / "arrays/cube.h5", "r") as file:
        group = file["measurements"]
        return {
            "attribute": group.attrs["instrument"],
            "names": sorted(group),
            "across chunks": pixels(group["chunked"][60, 30:40, ::9]),
            "chunked": pixels(group["chunked"][:]),
            "contiguous": pixels(group["contiguous"][:]),
        }


def sqlite(root: Path, scratch: Path) -> dict:
    """`mode=ro` suffices for a database that keeps a rollback journal.

    One in WAL mode needs `immutable=1`: SQLite would otherwise create its
    shared-memory file beside it, which a read-only file system does not allow.
    """
    results = {}
    for name, option in [("stations.sqlite", "mode=ro"), ("stations-wal.sqlite", "immutable=1")]:
        connection = sqlite3.connect(f"file:{root / 'data' / name}?{option}", uri=True)
        query = connection.execute("select * from station where name = 'station 7919'")
        results[f"{name} by index"] = query.fetchall()
        query = connection.execute("select count(*), sum(height), min(name) from station")
        results[f"{name} scan"] = query.fetchall()
        results[f"{name} check"] = connection.execute("pragma integrity_check").fetchall()
        connection.close()
    return results


def zip_archive(root: Path, scratch: Path) -> dict:
    with zipfile.ZipFile(root / "archives/tree.zip") as archive:
        damaged = archive.testzip()
        if damaged is not None:
            raise RuntimeError(f"{damaged} is damaged in {root}")
        names = archive.namelist()
        return {name: digest(archive.read(name)) for name in reversed(names)}


def standard_library(root: Path, scratch: Path) -> dict:
    """copytree (which uses sendfile or copy_file_range), glob, mmap, pread and seeks."""
    shutil.copytree(root / "tree", scratch / "tree", copy_function=shutil.copyfile)
    results = contents(scratch / "tree")
    results["glob"] = sorted(str(path.relative_to(root)) for path in root.glob("tree/*/1*/*.txt"))
    with open(root / "tree/1/three megabytes.bin", "rb") as file:
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            results["mapped"] = hashlib.sha256(mapped).hexdigest()
            results["mapped, backwards"] = digest(mapped[2_999_990:100:-1023])
        results["at the end"] = digest(os.pread(file.fileno(), 4096, 3_000_000))
        results["past the end"] = digest(os.pread(file.fileno(), 4096, 3_000_001))
        file.seek(-100_000, os.SEEK_END)
        results["tail"] = digest(file.read())
    with open(root / "tree/empty", "rb") as file:
        results["empty"] = digest(file.read())
    return results


PROGRAMS = {
    "pillow": pillow,
    "matplotlib": imread,
    "opencv": opencv,
    "rasterio": raster,
    "numpy": memmap,
    "h5py": hdf5,
    "sqlite": sqlite,
    "zipfile": zip_archive,
    "python": standard_library,
}
