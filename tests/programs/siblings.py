"""Programs that read the virtual siblings of images.

Each has two functions. The first reads the images of the local copy with a
decoder that is not ours; the second reads what the siblings in the mount hold.
Both must give the same.
"""

import json
from pathlib import Path

import cv2
import numpy as np
import rasterio
import tifffile
from PIL import Image
from rasterio.windows import Window

from libraries import pixels
from result import BAND, command

PHOTO = "images/photo.jp2"
SCENE = "images/scene.tif"
# Lossless, or decoded alike by everybody.
IMAGES = [BAND, PHOTO, SCENE, "images/photo.png", "images/a name with spaces.png"]


def decoded(path: Path) -> np.ndarray:
    """(H, W) or (H, W, bands), by GDAL."""
    with rasterio.open(path) as image:
        return np.moveaxis(image.read(), 0, -1).squeeze()


def of_each(read, root: Path, ending: str = "") -> dict:
    return {name: pixels(read(root / f"{name}{ending}")) for name in IMAGES}


def original(root: Path) -> dict:
    return of_each(decoded, root)


def stretched(band: np.ndarray) -> np.ndarray:
    """What a preview shows: from the 2nd to the 98th percentile of what is not zero."""
    measured = np.sort(band[band != 0]).astype(np.float64)
    low, high = (measured[((measured.size - 1) * percent + 50) // 100] for percent in (2, 98))
    shown = np.floor((band - low) / (high - low) * 255 + 0.5)
    return np.where(band == 0, 0, np.clip(shown, 0, 255)).astype(np.uint8)


def pillow_original(root: Path) -> dict:
    with rasterio.open(root / BAND, overview_level=0) as band:
        preview = stretched(band.read(1))
    return {**original(root), "preview": pixels(preview)}


def pillow_sibling(root: Path) -> dict:
    def read(path: Path) -> np.ndarray:
        with Image.open(path) as image:
            if image.format != "PNG":
                raise RuntimeError(f"{path} is {image.format}")
            return np.asarray(image)

    return {**of_each(read, root, ".png"), "preview": pixels(read(root / f"{BAND}.preview.png"))}


def opencv_original(root: Path) -> dict:
    found = original(root)
    return {".png": found, ".tif": found}


def opencv_sibling(root: Path) -> dict:
    def read(path: Path) -> np.ndarray:
        image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        if image is None:
            raise RuntimeError(f"cv2.imread returned nothing for {path}")
        return image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2RGB)

    return {ending: of_each(read, root, ending) for ending in (".png", ".tif")}


def geo(path: Path) -> dict:
    """All that GDAL says of an image, and pixels of each of its overviews."""
    with rasterio.open(path) as image:
        result = {
            "crs": image.crs.to_epsg() if image.crs else None,
            "transform": str(image.transform),
            "nodata": image.nodata,
            "shape": (image.count, image.height, image.width),
            "dtypes": image.dtypes,
            "window": pixels(image.read(window=Window(100, 100, 500, 400))),
            "whole": pixels(image.read()),
        }
        overviews = image.overviews(1)
    if path.name.startswith("scene.tif"):
        # An image in one piece has no lower resolutions to take overviews from.
        return result
    result["overviews"] = overviews
    for level in range(len(overviews)):
        with rasterio.open(path, overview_level=level) as image:
            result[f"overview {level}"] = pixels(image.read())
    return result


def rasterio_original(root: Path) -> dict:
    return {name: geo(root / name) for name in (BAND, PHOTO, SCENE)}


def rasterio_sibling(root: Path) -> dict:
    return {name: geo(root / f"{name}.tif") for name in (BAND, PHOTO, SCENE)}


def numpy_original(root: Path) -> dict:
    band = decoded(root / BAND)
    parts = {"row": pixels(band[1500]), "column": pixels(band[::-7, 33])}
    return {**original(root), **parts}


def numpy_sibling(root: Path) -> dict:
    def read(path: Path) -> np.ndarray:
        array = np.load(path, mmap_mode="r")
        if not array.flags.c_contiguous:
            raise RuntimeError(f"{path} is not in C order")
        return array

    band = read(root / f"{BAND}.npy")
    parts = {"row": pixels(band[1500]), "column": pixels(band[::-7, 33])}
    return {**parts, **of_each(read, root, ".npy")}


def tifffile_original(root: Path) -> dict:
    with rasterio.open(root / BAND) as band:
        levels = 1 + len(band.overviews(1))
    return {**original(root), "levels": levels}


def tifffile_sibling(root: Path) -> dict:
    with tifffile.TiffFile(root / f"{BAND}.tif") as file:
        if not file.pages[0].is_tiled:
            raise RuntimeError("the sibling is not tiled")
        levels = len(file.series[0].levels)
    return {**of_each(tifffile.imread, root, ".tif"), "levels": levels}


def pngcheck_original(root: Path) -> dict:
    return {f"{name}{ending}": "OK" for name in IMAGES for ending in (".png", ".preview.png")}


def pngcheck_sibling(root: Path) -> dict:
    results = {}
    for name in pngcheck_original(root):
        told = command("pngcheck", root / name).decode()
        results[name] = "OK" if told.startswith("OK: ") else told
    return results


def opj_original(root: Path, scratch: Path) -> dict:
    """The band at each resolution, as the decoder of reference writes it."""
    results = {}
    for level in range(5):
        raw = scratch / f"{level}.rawl"
        command("opj_decompress", "-i", root / BAND, "-r", level, "-o", raw)
        side = -(-1830 >> level)
        results[level] = pixels(np.fromfile(raw, "<u2").reshape(side, side))
    return results


def opj_sibling(root: Path) -> dict:
    with tifffile.TiffFile(root / f"{BAND}.tif") as file:
        levels = dict(enumerate(pixels(level.asarray()) for level in file.series[0].levels))
    with Image.open(root / f"{BAND}.png") as image:
        if pixels(np.asarray(image)) != levels[0]:
            raise RuntimeError("the PNG and the TIFF differ")
    return levels


def cut_original(root: Path, scratch: Path) -> dict:
    """The band at each resolution, and what GDAL says of it."""
    levels = opj_original(root, scratch)
    return {
        "opj_decompress": levels,
        "rasterio": levels,
        "pillow": by_pillow(root / BAND),
        "geo": geo(root / BAND),
    }


def by_pillow(path: Path) -> str:
    """What Pillow makes of 15 bits, which are not the same numbers."""
    with Image.open(path) as image:
        return pixels(np.asarray(image))


def cut_sibling(root: Path, scratch: Path) -> dict:
    """The same from the indexed file, and from the reduced ones. OpenJPEG of the system knows
    nothing of an index (it is older than 2.5.3); those of rasterio and Pillow use it."""
    indexed = root / f"{BAND}.indexed.jp2"
    files = [indexed, *(root / f"{BAND}.r{2 ** level}.j2k" for level in range(1, 5))]
    by_opj, by_rasterio = {}, {}
    for level, file in enumerate(files):
        raw = scratch / f"{level}.rawl"
        # It takes the kind of a file from its ending, and refuses a longer one.
        name = scratch / f"{level}.{file.suffix[1:]}"
        name.symlink_to(file)
        command("opj_dump", "-i", name)
        command("opj_decompress", "-i", name, "-o", raw)
        side = -(-1830 >> level)
        by_opj[level] = pixels(np.fromfile(raw, "<u2").reshape(side, side))
        by_rasterio[level] = pixels(decoded(file))
    return {
        "opj_decompress": by_opj,
        "rasterio": by_rasterio,
        "pillow": by_pillow(indexed),
        "geo": geo(indexed),
    }


def json_original(root: Path) -> dict:
    results = {}
    for name in IMAGES:
        with rasterio.open(root / name) as image:
            results[name] = [image.width, image.height, image.count, image.dtypes[0]]
    with rasterio.open(root / BAND) as band:
        results["epsg"] = band.crs.to_epsg()
        results["transform"] = list(band.transform.to_gdal())
        results["bounds"] = list(band.bounds)
    return results


def json_sibling(root: Path) -> dict:
    results = {}
    for name in IMAGES:
        told = json.loads((root / f"{name}.json").read_bytes())
        results[name] = [told[key] for key in ("width", "height", "bands", "dtype")]
    georeference = json.loads((root / f"{BAND}.json").read_bytes())["georeference"]
    for key in ("epsg", "transform", "bounds"):
        results[key] = georeference[key]
    return results


def alone(read):
    """A function that needs no scratch folder."""
    return lambda root, scratch: read(root)


PROGRAMS = {
    "pillow on siblings": (alone(pillow_original), alone(pillow_sibling)),
    "opencv on siblings": (alone(opencv_original), alone(opencv_sibling)),
    "rasterio on siblings": (alone(rasterio_original), alone(rasterio_sibling)),
    "numpy on siblings": (alone(numpy_original), alone(numpy_sibling)),
    "tifffile on siblings": (alone(tifffile_original), alone(tifffile_sibling)),
    "pngcheck on siblings": (alone(pngcheck_original), alone(pngcheck_sibling)),
    "opj_decompress on siblings": (opj_original, alone(opj_sibling)),
    "decoders on cut files": (cut_original, cut_sibling),
    "json on siblings": (alone(json_original), alone(json_sibling)),
}
