"""The pages of a TIFF and the frames of an animation: X.page-2.npy and the like."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import rasterio
import tifffile
from PIL import Image

from readers import GDAL_OPTIONS, Facts, Seen, Unknown, Variant, banded, head_of
from readers import by_pydicom, seen_by_gdal, seen_by_tifffile

# In NewSubfileType: a reduced image, and a mask.
REDUCED, MASK = 1, 4


def count(told: dict) -> int:
    """How many `X.json` tells of."""
    pages = told.get("pages", 1)
    return len(pages) if isinstance(pages, list) else pages if isinstance(pages, int) else 1


def directories(file: tifffile.TiffFile) -> list[int]:
    """The places of those that are images of their own."""
    kinds = [int(page.tags.valueof("NewSubfileType", 0)) for page in file.pages]
    return [place for place, kind in enumerate(kinds) if not kind & (REDUCED | MASK)]


def by_tifffile(path: Path, page: int) -> Seen:
    if head_of(path, 2) not in (b"II", b"MM"):
        raise Unknown("no TIFF")
    with tifffile.TiffFile(path) as file:
        return seen_by_tifffile(file.pages[directories(file)[page - 1]])


def by_gdal(path: Path, page: int) -> Seen:
    if head_of(path, 2) not in (b"II", b"MM"):
        raise Unknown("no TIFF")
    with tifffile.TiffFile(path) as file:
        place = directories(file)[page - 1] + 1
    with rasterio.Env(**GDAL_OPTIONS), rasterio.open(f"GTIFF_DIR:{place}:{path}") as file:
        return seen_by_gdal(file)


def by_pillow(path: Path, page: int) -> Seen:
    with Image.open(path) as image:
        if image.format == "TIFF":
            raise Unknown("counts overviews too")
        image.seek(page - 1)
        return Seen([Variant(np.asarray(image.convert(mode)), mode) for mode in ("RGBA", "RGB")])


def by_opencv(path: Path, page: int) -> Seen:
    if head_of(path, 2) in (b"II", b"MM"):
        raise Unknown("counts overviews too")
    found, frames = cv2.imreadmulti(str(path), flags=cv2.IMREAD_UNCHANGED)
    if not found or len(frames) < page:
        raise Unknown("no frames")
    array = banded(frames[page - 1])
    if array.shape[2] in (3, 4):
        array = array[:, :, [2, 1, 0, *range(3, array.shape[2])]]
    return Seen([Variant(array)])


READERS: dict[str, Callable[[Path, int], Seen]] = {
    "tifffile": by_tifffile,
    "GDAL": by_gdal,
    "Pillow": by_pillow,
    "OpenCV": by_opencv,
    "pydicom": by_pydicom,
}


def facts_of(path: Path, page: int) -> Facts:
    """Where white is zero, in this page."""
    try:
        with tifffile.TiffFile(path) as file:
            found = file.pages[directories(file)[page - 1]]
            return Facts(
                photometric=int(found.photometric),
                bits=found.bitspersample,
                compression=int(found.compression),
            )
    except Exception:  # noqa: BLE001 - whatever it is, tifffile has nothing to say of it
        return Facts(gif=head_of(path, 3) == b"GIF")
