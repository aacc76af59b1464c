"""Makes the TIFFs with masks and overviews, in the file and beside it, as GDAL and tifffile write
them, and what GDAL reads in them:

    "$S3MEM_TEST_PYTHON" tests/support/masks/make.py

`X.K.raw` has the pixels of level K of `X`, row by row, little endian; `X.K.mask.raw` a byte for
each of them that is 0 where it is not valid.
"""

import ctypes
import ctypes.util
import subprocess
import warnings
from pathlib import Path

import numpy as np
import rasterio
import tifffile
from rasterio.enums import ColorInterp, Resampling

warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
HERE = Path(__file__).parent
H, W = 75, 101
TILED = {"tiled": True, "blockxsize": 32, "blockysize": 32, "compress": "deflate"}


def wave(bands: int, dtype: str) -> np.ndarray:
    y, x, band = np.mgrid[0:H, 0:W, 0:bands].transpose(0, 3, 1, 2)
    values = (x * (2 + band) + y * (3 - band) * 2 + band * 70) % 251
    return (values * (200 if dtype == "uint16" else 1)).astype(dtype)


def disc() -> np.ndarray:
    y, x = np.mgrid[0:H, 0:W]
    return (x - 50) ** 2 + (y - 37) ** 2 < 36**2


def save(name: str, pixels: np.ndarray, **options: object) -> None:
    bands, height, width = pixels.shape
    profile = {"driver": "GTiff", "count": bands, "height": height, "width": width}
    with rasterio.open(HERE / name, "w", **profile, dtype=pixels.dtype, **options) as file:
        file.write(pixels)


def mask(name: str, within: bool, factors: tuple[int, ...] = ()) -> None:
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=within):
        with rasterio.open(HERE / name, "r+") as file:
            file.write_mask(disc())
        if factors:
            with rasterio.open(HERE / name, "r+") as file:
                file.build_overviews(list(factors), Resampling.nearest)


def each_band() -> np.ndarray:
    """A mask of its own for each of three bands."""
    y, x = np.mgrid[0:H, 0:W]
    return np.stack([disc(), x > 40, (x + y) % 29 > 8]).astype(np.uint8) * 255


def overviews_read_only(name: str) -> None:
    """What `gdaladdo -ro` leaves beside a file: overviews of it, and of the mask beside it."""
    for file in (name, f"{name}.msk"):
        if not (HERE / f"{file}.ovr").exists():
            subprocess.run(["gdaladdo", "-q", "-ro", HERE / file, "2", "4"], check=True)


def overviews_beside(name: str, source: str | None = None) -> None:
    """The overviews of `source`, if it is not the file's own."""
    with rasterio.Env(TIFF_USE_OVR=True, COMPRESS_OVERVIEW="DEFLATE"):
        with rasterio.open(HERE / (source or name), "r+") as file:
            file.build_overviews([2, 4], Resampling.average)
    if source:
        (HERE / f"{source}.ovr").rename(HERE / f"{name}.ovr")


def expect(name: str, levels: int, is_masked: bool = True, is_apart: bool = False) -> None:
    for level in range(levels):
        options = {"overview_level": level - 1} if level else {}
        with rasterio.open(HERE / name, **options) as file:
            pixels = file.read().transpose(1, 2, 0)
            pixels.astype(pixels.dtype.newbyteorder("<")).tofile(HERE / f"{name}.{level}.raw")
            if is_apart:
                file.read_masks().transpose(1, 2, 0).tofile(HERE / f"{name}.{level}.mask.raw")
            elif is_masked:
                file.dataset_mask().tofile(HERE / f"{name}.{level}.mask.raw")


def shown_by_libtiff(name: str) -> np.ndarray:
    """Red, green and blue, as libtiff's own conversion gives them."""
    library = ctypes.CDLL(ctypes.util.find_library("tiff"))
    library.TIFFOpen.restype = ctypes.c_void_p
    file = ctypes.c_void_p(library.TIFFOpen(str(HERE / name).encode(), b"r"))
    pixels = np.zeros((H, W, 4), np.uint8)
    place = pixels.ctypes.data_as(ctypes.c_void_p)
    # 1 is the upper left corner.
    assert library.TIFFReadRGBAImageOriented(file, W, H, place, 1, 0) == 1
    library.TIFFClose(file)
    return pixels[:, :, :3]


def lab() -> None:
    """CIE L*a*b* of 8 and 16 bits."""
    y, x = np.mgrid[0:H, 0:W]
    for bits, dtype, most in ((8, np.uint8, 127), (16, np.uint16, 127 * 256)):
        lightness = (x * (2**bits - 1) // (W - 1)).astype(dtype)
        red = ((np.sin(y / 9) * most).astype(f"i{bits // 8}")).view(dtype)
        blue = ((np.cos((x + 2 * y) / 13) * most).astype(f"i{bits // 8}")).view(dtype)
        pixels = np.stack([lightness, red, blue], axis=2)
        name = f"lab{bits}"
        tifffile.imwrite(HERE / f"{name}.tif", pixels, photometric="cielab", metadata=None)
        pixels.astype(pixels.dtype.newbyteorder("<")).tofile(HERE / f"{name}.tif.0.raw")
        shown_by_libtiff(f"{name}.tif").tofile(HERE / f"{name}.rgb.raw")


def main() -> None:
    for old in [*HERE.glob("*.tif*"), *HERE.glob("*.rgb.raw")]:
        old.unlink()
    lab()
    # One bit, in tiles, with overviews of both.
    save("inside.tif", wave(3, "uint8"), photometric="RGB", **TILED)
    mask("inside.tif", within=True, factors=(2, 4))
    expect("inside.tif", 3)
    # Eight bits, of which some are neither 0 nor 255; the pixels are of 16.
    valid = np.where(disc(), (np.mgrid[0:H, 0:W].sum(0) % 255 + 1), 0).astype(np.uint8)
    with tifffile.TiffWriter(HERE / "bytes.tif") as file:
        file.write(wave(1, "uint16")[0], photometric="minisblack", metadata=None)
        file.write(valid, photometric="minisblack", subfiletype=2, metadata=None)
    with tifffile.TiffFile(HERE / "bytes.tif", mode="r+b") as file:
        # tifffile writes masks of one bit alone.
        for tag in ("NewSubfileType", "PhotometricInterpretation"):
            file.pages[1].tags[tag].overwrite(4)
    expect("bytes.tif", 1)
    # A palette.
    save("palette.tif", wave(1, "uint8") % 16, photometric="PALETTE", compress="lzw")
    with rasterio.open(HERE / "palette.tif", "r+") as file:
        file.write_colormap(1, {n: (n * 16, 255 - n * 8, n * n) for n in range(16)})
    mask("palette.tif", within=True)
    expect("palette.tif", 1)
    # Beside it.
    save("beside.tif", wave(1, "uint16"), **TILED)
    mask("beside.tif", within=False)
    expect("beside.tif", 1)
    # Overviews beside it, of the file and of another one.
    save("overviews.tif", wave(3, "uint8"), photometric="RGB", **TILED)
    overviews_beside("overviews.tif")
    expect("overviews.tif", 3, is_masked=False)
    save("other.tif", wave(1, "uint16"), **TILED)
    save("source.tif", wave(1, "uint8"), **TILED)
    overviews_beside("other.tif", "source.tif")
    (HERE / "source.tif").unlink()
    # Both beside it, as `gdaladdo -ro` leaves them: with masks of the overviews.
    save("both.tif", wave(1, "uint8"), **TILED)
    mask("both.tif", within=True)
    overviews_beside("both.tif")
    expect("both.tif", 3)
    # A mask beside it with overviews of both, each in a file of its own.
    save("levels.tif", wave(1, "uint8"), **TILED)
    mask("levels.tif", within=False)
    overviews_read_only("levels.tif")
    expect("levels.tif", 3)
    # A mask for each band, in the file and beside it.
    with tifffile.TiffWriter(HERE / "bands.tif") as file:
        pixels = wave(3, "uint8").transpose(1, 2, 0)
        options = {"photometric": "rgb", "metadata": None, "tile": (32, 32)}
        file.write(pixels, compression="deflate", **options)
        file.write(each_band().transpose(1, 2, 0), subfiletype=2, **options)
    with tifffile.TiffFile(HERE / "bands.tif", mode="r+b") as file:
        for tag in ("NewSubfileType", "PhotometricInterpretation"):
            file.pages[1].tags[tag].overwrite(4)
    expect("bands.tif", 1, is_apart=True)
    save("apart.tif", wave(3, "uint8"), photometric="RGB", **TILED)
    save("apart.tif.msk", each_band(), photometric="RGB", interleave="band", **TILED)
    with rasterio.open(HERE / "apart.tif.msk", "r+") as file:
        file.update_tags(**{f"INTERNAL_MASK_FLAGS_{band}": 0 for band in (1, 2, 3)})
    overviews_read_only("apart.tif")
    expect("apart.tif", 3, is_apart=True)
    with rasterio.open(HERE / "both.tif") as file:
        assert file.colorinterp == (ColorInterp.gray,)


if __name__ == "__main__":
    main()
