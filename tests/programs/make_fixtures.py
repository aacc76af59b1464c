"""Makes the files that tests/it/mounted/programs.rs uploads: make_fixtures.py DIR

Small files of many formats, the same bytes on every run. They are laid out as
the keys of a bucket would be.
"""

import io
import shutil
import sqlite3
import sys
import tarfile
import wave
import zipfile
from pathlib import Path

import cv2
import h5py
import numpy as np
import rasterio
from PIL import Image
from rasterio.enums import Resampling
from rasterio.transform import from_origin

# The band of the README's example.
BAND = "tiles/10/S/DG/2015/12/7/0/B01.jp2"

# A real Sentinel-2 band, where the repository holds one.
REAL_BAND = Path(__file__).resolve().parent.parent / "support" / "data" / "B01.jp2"

# 1 January 2020: formats that record a time record this one.
FIXED_TIME = 1_577_836_800


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit("usage: make_fixtures.py DIR")
    root = Path(sys.argv[1])
    random = np.random.default_rng(20151207)
    band(root)
    images(root)
    geotiff(root)
    arrays(root, random)
    databases(root)
    tree(root, random)
    archives(root)
    media(root)


def landscape(width: int, height: int) -> np.ndarray:
    """An RGB image that compresses like a photograph: slopes with some texture."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    red = 127 + 90 * np.sin(x / 37) * np.cos(y / 53)
    green = 255 * x / width
    blue = 127 + 60 * np.sin((x + 2 * y) / 19) + 60 * y / height
    return np.clip(np.stack([red, green, blue], axis=-1), 0, 255).astype(np.uint8)


def place(root: Path, name: str) -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def band(root: Path) -> None:
    path = place(root, BAND)
    if REAL_BAND.exists():
        shutil.copyfile(REAL_BAND, path)
    else:
        grey = landscape(1830, 1830)[:, :, 2].astype(np.uint16) * 16
        Image.fromarray(grey).save(path, tile_size=(512, 512), irreversible=False)


def images(root: Path) -> None:
    photo = Image.fromarray(landscape(1200, 900))
    photo.save(place(root, "images/photo.png"))
    photo.save(place(root, "images/photo.jpg"), quality=90)
    photo.save(place(root, "images/photo.jp2"), tile_size=(256, 256))
    photo.resize((64, 48)).save(place(root, "images/a name with spaces.png"))


def geotiff(root: Path) -> None:
    pixels = landscape(2048, 1536)
    with rasterio.open(
        place(root, "images/scene.tif"),
        "w",
        driver="GTiff",
        width=2048,
        height=1536,
        count=3,
        dtype="uint8",
        crs="EPSG:32610",
        transform=from_origin(499980, 4200000, 60, 60),
        tiled=True,
        blockxsize=256,
        blockysize=256,
        compress="deflate",
    ) as scene:
        scene.write(np.moveaxis(pixels, -1, 0))
        scene.build_overviews([2, 4, 8], Resampling.average)


def arrays(root: Path, random: np.random.Generator) -> None:
    cube = random.standard_normal((64, 128, 128))
    np.save(place(root, "arrays/cube.npy"), cube)
    cube.astype("<f4").tofile(place(root, "arrays/cube.f4"))
    with h5py.File(place(root, "arrays/cube.h5"), "w", libver="latest") as file:
        group = file.create_group("measurements")
        group.attrs["instrument"] = "MSI"
        group.create_dataset(
            "chunked", data=cube, chunks=(8, 32, 32), compression="gzip", track_times=False
        )
        group.create_dataset("contiguous", data=cube[:8], track_times=False)


def databases(root: Path) -> None:
    for name, journal in [("stations.sqlite", "delete"), ("stations-wal.sqlite", "wal")]:
        path = place(root, f"data/{name}")
        path.unlink(missing_ok=True)
        connection = sqlite3.connect(path)
        connection.execute(f"pragma journal_mode = {journal}")
        connection.execute("create table station (id integer primary key, name text, height real)")
        connection.executemany(
            "insert into station values (?, ?, ?)",
            ((i, f"station {i * 7919 % 20011}", i * 0.25) for i in range(20_000)),
        )
        connection.execute("create index station_name on station (name)")
        connection.commit()
        connection.close()


def tree(root: Path, random: np.random.Generator) -> None:
    for number in range(240):
        name = f"tree/{number % 4}/{number % 12}/note {number:03}.txt"
        lines = [f"line {line} of note {number}" for line in range(number)]
        if number % 20 == 7:
            lines.append("the needle is here")
        place(root, name).write_text("\n".join(lines))
    place(root, "tree/empty").write_bytes(b"")
    place(root, "tree/0/Ünïcödé ☃.txt").write_text("snow\n")
    place(root, "tree/1/three megabytes.bin").write_bytes(random.bytes(3_000_001))


def archives(root: Path) -> None:
    files = sorted(path for path in (root / "tree").rglob("*") if path.is_file())
    with zipfile.ZipFile(place(root, "archives/tree.zip"), "w", zipfile.ZIP_DEFLATED) as archive:
        for path in files:
            entry = zipfile.ZipInfo(str(path.relative_to(root)), (2020, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, path.read_bytes())
    with tarfile.open(place(root, "archives/tree.tar"), "w") as archive:
        for path in files:
            data = path.read_bytes()
            entry = tarfile.TarInfo(str(path.relative_to(root)))
            entry.size, entry.mtime, entry.mode = len(data), FIXED_TIME, 0o644
            archive.addfile(entry, io.BytesIO(data))


def media(root: Path) -> None:
    with wave.open(str(place(root, "media/tone.wav")), "wb") as tone:
        tone.setnchannels(1)
        tone.setsampwidth(2)
        tone.setframerate(48_000)
        time = np.arange(48_000 * 5) / 48_000
        tone.writeframes((np.sin(2 * np.pi * 440 * time) * 20_000).astype("<i2").tobytes())
    # Its index is at the end: a player seeks there before it reads the rest.
    clip = cv2.VideoWriter(
        str(place(root, "media/clip.mp4")), cv2.VideoWriter_fourcc(*"mp4v"), 25.0, (320, 240)
    )
    frame = landscape(320 + 50, 240)
    for number in range(50):
        clip.write(np.ascontiguousarray(frame[:, number : number + 320]))
    clip.release()


if __name__ == "__main__":
    main()
