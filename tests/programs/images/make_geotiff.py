"""GeoTIFFs as GDAL writes them: its codecs, masks, overviews, and all that it says beside pixels."""

import itertools
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import rasterio
from rasterio.control import GroundControlPoint
from rasterio.enums import Resampling
from rasterio.rpc import RPC
from rasterio.shutil import copy
from rasterio.transform import Affine, from_origin

import pictures

Recipe = tuple[str, Callable[[Path], None]]

WHERE = {"crs": "EPSG:32610", "transform": from_origin(500000, 4100000, 10, 10)}


def recipes() -> list[Recipe]:
    return [*compressed(), *bits(), *colours(), *places(), *said(), *layered()]


def wave(bands: int, dtype: str, height: int = 75, width: int = 100) -> np.ndarray:
    """(bands, rows, columns), as rasterio has them."""
    top = np.iinfo(dtype).max if dtype[0] in "ui" else 1000
    return np.moveaxis(pictures.smooth(height, width, bands) * top, -1, 0).astype(dtype)


def saved(array: np.ndarray, **options: object) -> Callable[[Path], None]:
    return lambda path: save(path, array, **options)


def save(path: Path, array: np.ndarray, **options: object) -> None:
    count, height, width = array.shape
    profile = {"driver": "GTiff", "count": count, "height": height, "width": width}
    profile.update(dtype=array.dtype.name, **options)
    with warnings.catch_warnings(), rasterio.open(path, "w", **profile) as file:
        warnings.simplefilter("ignore")
        file.write(array)


TILED = {"tiled": True, "blockxsize": 48, "blockysize": 32}


def compressed() -> list[Recipe]:
    found: list[Recipe] = []
    lossless = ["packbits", "lzw", "deflate", "zstd", "lzma", "lerc", "lerc_deflate", "lerc_zstd"]
    dtypes = ["uint8", "int16", "uint16", "int32", "float32", "float64"]
    shapes = itertools.product(lossless, dtypes, (1, 3), (False, True))
    for number, (how, dtype, bands, tiled) in enumerate(shapes):
        options: dict[str, object] = dict(TILED) if tiled else {}
        options["interleave"] = "band" if number % 3 == 0 else "pixel"
        options["endianness"] = "big" if number % 5 == 0 else "little"
        options["bigtiff"] = "yes" if number % 7 == 0 else "no"
        if how in ("lzw", "deflate", "zstd") and number % 2 == 0:
            options["predictor"] = 3 if dtype.startswith("float") else 2
        if how.startswith("lerc") and number % 4 == 0:
            options["max_z_error"] = 0.01 if dtype.startswith("float") else 1
        name = f"gdal/{how}-{dtype}x{bands}-{'tile' if tiled else 'strip'}-{number}.tif"
        found.append((name, saved(wave(bands, dtype), compress=how, **options)))
    for tiled, bands in itertools.product((False, True), (1, 3, 4)):
        options = dict(TILED) if tiled else {}
        where = f"{bands}-{'tile' if tiled else 'strip'}"
        array = wave(bands, "uint8")
        found.append((f"gdal/jpeg-{where}.tif", saved(array, compress="jpeg", **options)))
        if bands == 3:
            more = {"compress": "jpeg", "photometric": "ycbcr", **options}
            found.append((f"gdal/jpeg-ycbcr-{where}.tif", saved(array, **more)))
        if bands > 1:
            more = {"compress": "jpeg", "interleave": "band", **options}
            found.append((f"gdal/jpeg-planes-{where}.tif", saved(array, **more)))
        if bands > 2:
            for exact in ("yes", "no"):
                more = {"compress": "webp", "webp_lossless": exact, **options}
                found.append((f"gdal/webp-lossless-{exact}-{where}.tif", saved(array, **more)))
    for how, (height, width), tiled, white in itertools.product(
        ("ccittrle", "ccittfax3", "ccittfax4", "none", "lzw", "packbits"),
        ((90, 70), (61, 129)),
        (False, True),
        (False, True),
    ):
        array = pictures.drawn(height, width)[np.newaxis]
        options = {"tiled": True, "blockxsize": 64, "blockysize": 32} if tiled else {}
        options["photometric"] = "miniswhite" if white else "minisblack"
        label = f"{how}-{width}-{'tile' if tiled else 'strip'}{'-white0' if white else ''}"
        found.append((f"gdal/bits-{label}.tif", saved(array, compress=how, nbits=1, **options)))
    return found


def bits() -> list[Recipe]:
    """Samples of a few bits, and floats of 16 and 24."""
    found: list[Recipe] = []
    for count, how, tiled, bands in itertools.product(
        (2, 4, 7, 10, 12, 14, 15), ("none", "lzw", "deflate"), (False, True), (1, 3)
    ):
        dtype = "uint8" if count <= 8 else "uint16"
        top = (1 << count) - 1
        array = np.moveaxis(pictures.smooth(50, 67, bands) * top, -1, 0).astype(dtype)
        options = dict(TILED) if tiled else {}
        label = f"{count}x{bands}-{how}-{'tile' if tiled else 'strip'}"
        found.append((f"gdal/nbits-{label}.tif", saved(array, nbits=count, compress=how, **options)))
    for count, predictor, bands in itertools.product((16, 24), (1, 3), (1, 3)):
        options = {"nbits": count, "compress": "deflate", "predictor": predictor}
        name = f"gdal/float{count}-pred{predictor}x{bands}.tif"
        found.append((name, saved(wave(bands, "float32"), **options)))
    for dtype in ("complex64", "complex128", "complex_int16"):
        array = (wave(2, "float32") + 1j * wave(2, "float32")[:, ::-1]).astype("complex128")

        def make(path: Path, array: np.ndarray = array, dtype: str = dtype) -> None:
            profile = {"driver": "GTiff", "count": 2, "height": 75, "width": 100, "dtype": dtype}
            kept = array.astype("complex64" if dtype == "complex_int16" else dtype)
            with rasterio.open(path, "w", **profile, compress="lzw") as file:
                file.write(kept)

        found.append((f"gdal/{dtype}.tif", make))
    for dtype in ("int8", "int64", "uint64", "uint32"):
        found.append((f"gdal/{dtype}.tif", saved(wave(1, dtype), compress="deflate")))
    return found


def colours() -> list[Recipe]:
    found: list[Recipe] = []
    for count, dtype in ((1, "uint8"), (4, "uint8"), (8, "uint8"), (16, "uint16")):
        for nodata in (None, 3):
            def make(
                path: Path, count: int = count, dtype: str = dtype, nodata: int | None = nodata
            ) -> None:
                top = min((1 << count) - 1, 999)
                array = (wave(1, "float32", 61, 67) / 1000 * top).astype(dtype)
                save(path, array, photometric="palette", nbits=count, nodata=nodata)
                colour = {n: (n * 7 % 256, n * 31 % 256, 255 - n % 256, 255) for n in range(top + 1)}
                with rasterio.open(path, "r+") as file:
                    file.write_colormap(1, colour)

            if nodata is None or count > 1:
                found.append((f"gdal/palette-{count}-nodata-{nodata}.tif", make))
    for label, bands, options in (
        ("cmyk", 4, {"photometric": "cmyk"}),
        ("rgba", 4, {"photometric": "rgb", "alpha": "yes"}),
        ("rgba-premultiplied", 4, {"photometric": "rgb", "alpha": "premultiplied"}),
        ("rgb-and-more", 4, {"photometric": "rgb", "alpha": "no"}),
        ("rgb-and-two-more", 5, {"photometric": "rgb", "alpha": "no"}),
        ("gray-alpha", 2, {"photometric": "minisblack", "alpha": "yes"}),
        ("cielab", 3, {"photometric": "cielab"}),
        ("white0", 1, {"photometric": "miniswhite"}),
    ):
        for dtype, planes in itertools.product(("uint8", "uint16"), ("pixel", "band")):
            if label == "cielab" and dtype == "uint16":
                continue
            array = wave(bands, dtype)
            name = f"gdal/{label}-{dtype}-{planes}.tif"
            found.append((name, saved(array, interleave=planes, compress="lzw", **options)))
    return found


def places() -> list[Recipe]:
    found: list[Recipe] = []
    array = wave(1, "int16")
    for label, options in {
        "utm": WHERE,
        "degrees": {"crs": "EPSG:4326", "transform": from_origin(-120, 40, 0.01, 0.01)},
        "turned": {"crs": "EPSG:32610", "transform": Affine(9, 3, 500000, 2, -8, 4100000)},
        "upside-down": {"crs": "EPSG:3857", "transform": Affine(10, 0, 0, 0, 10, 0)},
        "own": {"crs": "+proj=laea +lat_0=45 +lon_0=10 +x_0=1 +y_0=2 +ellps=GRS80 +units=m"},
        "no-crs": {"transform": from_origin(7, 8, 2, 2)},
        "south": {"crs": "EPSG:32733", "transform": from_origin(3e5, 6.2e6, 0.5, 0.5)},
    }.items():
        found.append((f"gdal/where-{label}.tif", saved(array, **options)))
        if label == "utm":
            found.append(("gdal/where-point.tif", pixel_is_point))
            found.append(("gdal/where-world-file.tif", saved(array, tfw="yes", **options)))
    points = [
        GroundControlPoint(row, col, 500000 + col * 10 + row, 4100000 - row * 9, 3.5)
        for row, col in ((0, 0), (0, 100), (75, 0), (75, 100), (30.5, 41.25))
    ]

    def with_points(path: Path) -> None:
        save(path, array)
        with rasterio.open(path, "r+") as file:
            file.gcps = (points, rasterio.crs.CRS.from_epsg(32610))

    rpc = RPC(
        *(100.0, 50.0, 40.0, 0.5, [1e-3 * n for n in range(20)], [1.0] + [0.0] * 19, 37.0, 25.0),
        *(-120.0, 0.5, [1e-4 * n for n in range(20)], [1.0] + [0.0] * 19, 50.0, 50.0),
        *(0.5, 0.25),
    )

    def with_rpc(path: Path) -> None:
        with rasterio.open(
            path, "w", driver="GTiff", count=1, height=75, width=100, dtype="int16", rpcs=rpc
        ) as file:
            file.write(array)

    return [*found, ("gdal/where-gcps.tif", with_points), ("gdal/where-rpc.tif", with_rpc)]


def pixel_is_point(path: Path) -> None:
    save(path, wave(1, "int16"), **WHERE)
    with rasterio.open(path, "r+") as file:
        file.update_tags(AREA_OR_POINT="Point")


def said() -> list[Recipe]:
    """Nodata, scale, offset, units and names."""
    found: list[Recipe] = []
    for dtype, nodata, tiled in itertools.product(
        ("uint8", "int16", "uint16", "float32", "float64"),
        (0, 255, -32768, float("nan"), float("inf"), -9999.5, -3.4028234663852886e38),
        (False, True),
    ):
        whole = dtype[0] in "ui"
        if whole and not (nodata == nodata and np.iinfo(dtype).min <= nodata <= np.iinfo(dtype).max):
            continue
        if whole and nodata != int(nodata):
            continue
        array = wave(2, dtype)
        array[:, 20:40, 30:50] = nodata
        options = dict(TILED) if tiled else {}
        label = f"{dtype}-{nodata:g}-{'tile' if tiled else 'strip'}"
        more = {"nodata": nodata, "compress": "deflate", **options, **WHERE}
        found.append((f"gdal/nodata-{label}.tif", saved(array, **more)))
        more["sparse_ok"] = True
        found.append((f"gdal/sparse-{label}.tif", lambda path, o=more, d=dtype: sparse(path, d, o)))

    def with_names(path: Path) -> None:
        save(path, wave(3, "int16"), **WHERE)
        with rasterio.open(path, "r+") as file:
            file.scales, file.offsets = (0.1, 0.2, 0.0001), (0.0, -5.0, 1000.0)
            file.units = ("m", "K", "")
            file.descriptions = ("height", "temperature of <air> & ground", "third")
            file.update_tags(1, source="made", MORE="x")
            file.update_tags(TIFFTAG_DATETIME="2024:01:02 03:04:05", TIFFTAG_SOFTWARE="made")

    return [*found, ("gdal/names-and-scales.tif", with_names)]


def sparse(path: Path, dtype: str, options: dict[str, object]) -> None:
    """One tile or strip of many is there."""
    profile = {"driver": "GTiff", "count": 2, "height": 75, "width": 100, "dtype": dtype}
    with rasterio.open(path, "w", **profile, **options) as file:
        file.write(wave(2, dtype)[:, :20, :40], window=((32, 52), (48, 88)))


def layered() -> list[Recipe]:
    """Overviews and masks, in the file and beside it."""
    found: list[Recipe] = []
    for how, dtype, bands in itertools.product(
        ("deflate", "lzw", "jpeg", "zstd"), ("uint8", "uint16", "float32"), (1, 3)
    ):
        if how == "jpeg" and dtype != "uint8":
            continue

        def with_overviews(
            path: Path, how: str = how, dtype: str = dtype, bands: int = bands, beside: bool = False
        ) -> None:
            with rasterio.Env(TIFF_USE_OVR=beside, COMPRESS_OVERVIEW=how):
                save(path, wave(bands, dtype, 200, 300), compress=how, tiled=True,
                     blockxsize=64, blockysize=64, **WHERE)
                with rasterio.open(path, "r+") as file:
                    file.build_overviews([2, 4], Resampling.average)

        def beside(path: Path, make: Callable[..., None] = with_overviews) -> None:
            make(path, beside=True)

        def cog(path: Path, how: str = how, dtype: str = dtype, bands: int = bands) -> None:
            plain = path.with_name("plain.tmp")
            save(plain, wave(bands, dtype, 200, 300), **WHERE)
            copy(plain, path, driver="COG", compress=how, blocksize=128)
            plain.unlink()

        label = f"{how}-{dtype}x{bands}"
        found.append((f"gdal/overviews-{label}.tif", with_overviews))
        found.append((f"gdal/cog-{label}.tif", cog))
        if how == "deflate":
            found.append((f"gdal/overviews-beside-{label}.tif", beside))
    for within, how, bands in itertools.product((True, False), ("deflate", "jpeg", "none"), (1, 3)):
        def with_mask(
            path: Path, within: bool = within, how: str = how, bands: int = bands
        ) -> None:
            valid = pictures.drawn(75, 100) > 0
            with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=within):
                profile = {"driver": "GTiff", "count": bands, "height": 75, "width": 100}
                with rasterio.open(path, "w", **profile, dtype="uint8", compress=how) as file:
                    file.write(wave(bands, "uint8"))
                    file.write_mask(valid)

        where = "inside" if within else "beside"
        found.append((f"gdal/mask-{where}-{how}x{bands}.tif", with_mask))
    for dtype, interleave in itertools.product(("uint8", "uint16", "float32"), ("pixel", "band")):
        def with_masks(path: Path, dtype: str = dtype, interleave: str = interleave) -> None:
            options = {"interleave": interleave, "compress": "deflate", "tiled": True,
                       "blockxsize": 64, "blockysize": 64}
            save(path, wave(3, dtype, 200, 300), **options)
            y, x = np.mgrid[0:200, 0:300]
            valid = np.stack([x > 40, y < 150, (x + y) % 29 > 8]).astype(np.uint8) * 255
            beside = path.with_name(f"{path.name}.msk")
            save(beside, valid, **options)
            with rasterio.open(beside, "r+") as file:
                file.update_tags(**{f"INTERNAL_MASK_FLAGS_{band}": 0 for band in (1, 2, 3)})

        found.append((f"gdal/mask-of-each-band-{interleave}-{dtype}.tif", with_masks))
    return found
