"""TIFF files of every layout: what `raw_tiff` writes."""

import random
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

import pictures
import raw_tiff as tiff
from raw_tiff import Layout

Recipe = tuple[str, Callable[[Path], None]]

# Sample format and bits of each type of sample.
SAMPLES: dict[str, tuple[int, int]] = {
    **{f"u{bits}": (tiff.UNSIGNED, bits) for bits in (1, 2, 4, 8, 10, 12, 14, 16, 24, 32, 64)},
    **{f"i{bits}": (tiff.SIGNED, bits) for bits in (8, 16, 32, 64)},
    **{f"f{bits}": (tiff.FLOAT, bits) for bits in (16, 24, 32, 64)},
    "c64": (tiff.COMPLEX, 64),
    "c128": (tiff.COMPLEX, 128),
    "ci32": (tiff.COMPLEX_INT, 32),
    "ci64": (tiff.COMPLEX_INT, 64),
}
COMPRESSIONS = {
    "none": tiff.NONE,
    "packbits": tiff.PACKBITS,
    "lzw": tiff.LZW,
    "deflate": tiff.DEFLATE,
    "olddeflate": tiff.OLD_DEFLATE,
    "zstd": tiff.ZSTD,
    "lzma": tiff.LZMA,
}
SIZES = [(48, 64), (50, 67), (33, 131), (100, 99), (64, 300), (200, 75), (17, 16), (1, 70), (70, 1)]
TILES = [None, None, None, (16, 16), (32, 16), (64, 64), (48, 32), (128, 128)]
NODATA = ["0", "nan", "inf", "-inf", "-32768", "255", "-9999", "1.#QNAN", "-1.#IND", "1.#INF"]


def array_of(name: str, kind: str, size: tuple[int, int, int]) -> np.ndarray:
    sample_format, bits = SAMPLES[kind]
    if sample_format == tiff.FLOAT:
        # Of 16 bits one has too small a range for what marks special values.
        wide = {16: "f2", 24: "f4", 32: "f4", 64: "f8"}[bits]
        with np.errstate(over="ignore"):
            return pictures.floats(name, size, wide)
    if sample_format == tiff.COMPLEX:
        parts = [pictures.floats(name + part, size, "f8") for part in "ri"]
        array = np.empty(size, "c8" if bits == 64 else "c16")
        array.real, array.imag = parts
        return array
    if sample_format == tiff.COMPLEX_INT:
        parts = [pictures.integers(name + part, size, bits // 2, signed=True) for part in "ri"]
        pairs = np.stack(parts, axis=3)
        # Kept as one number of twice the bits would be; `packed` writes the pairs.
        return pairs.reshape(size[0], size[1], size[2] * 2)
    return pictures.integers(name, size, bits, signed=sample_format == tiff.SIGNED)


def saved(array: np.ndarray, layout: Layout) -> Callable[[Path], None]:
    return lambda path: tiff.write(path, (array, layout))


def recipes() -> list[Recipe]:
    return [*covering(), *by_hand(), *sub_sampled(), *codecs(), *odd(), *pages()]


def covering(count: int = 760) -> list[Recipe]:
    """Random combinations: each pair of values occurs, most of them often."""
    rng = random.Random(12)
    found = []
    for number in range(count):
        kind = rng.choice(list(SAMPLES))
        found.append(combination(number, kind, rng))
    return found


def combination(number: int, kind: str, rng: random.Random) -> Recipe:
    sample_format, bits = SAMPLES[kind]
    bands = rng.choice([1, 1, 1, 2, 3, 3, 4, 4, 5])
    photometric, colours = tiff.BLACK_IS_ZERO, 1
    if kind in ("u8", "u16", "u32", "f32") and bands >= 3 and rng.random() < 0.8:
        photometric, colours = tiff.RGB, 3
        if kind in ("u8", "u16") and bands >= 4 and rng.random() < 0.2:
            photometric, colours = tiff.SEPARATED, 4
    elif bands == 1 and sample_format == tiff.UNSIGNED and rng.random() < 0.25:
        photometric = tiff.WHITE_IS_ZERO
    elif bands == 1 and bits in (1, 2, 4, 8, 16) and sample_format == tiff.UNSIGNED:
        if rng.random() < 0.3:
            photometric = tiff.PALETTE
    how = rng.choice(list(COMPRESSIONS))
    predictor = 1
    if how not in ("none", "packbits") and rng.random() < 0.6:
        if sample_format in (tiff.UNSIGNED, tiff.SIGNED) and bits in (8, 16, 32, 64):
            predictor = 2
        elif sample_format == tiff.FLOAT:
            predictor = 3
    extra = bands - colours
    first = rng.choice([0, 0, 1, 2, 2]) if extra else 0
    # 24 bits in order of bytes are read by nobody with predictors, and odd bits by few.
    height, width = rng.choice(SIZES)
    layout = Layout(
        bits=bits,
        sample_format=sample_format,
        photometric=photometric,
        planar=bands > 1 and rng.random() < 0.4,
        tile=rng.choice(TILES),
        rows_per_strip=rng.choice([1, 7, 16, 32, height, height + 9]),
        compression=COMPRESSIONS[how],
        predictor=predictor,
        fill_order=2 if rng.random() < 0.06 else 1,
        order=rng.choice("<<>"),
        big=rng.random() < 0.2,
        extra_samples=(first,) + (0,) * (extra - 1) if extra else (),
        sparse=5 if rng.random() < 0.05 else 0,
    )
    if rng.random() < 0.2:
        layout.tags[42113] = ("s", rng.choice(NODATA))
    name = name_of(number, kind, bands, how, layout)

    def make(path: Path) -> None:
        array = array_of(name, kind, (height, width, bands))
        write(path, array, layout, bands)

    return name, make


def write(path: Path, array: np.ndarray, layout: Layout, bands: int) -> None:
    if layout.photometric == tiff.PALETTE:
        layout.tags[320] = ("H", palette(1 << layout.bits))
    if layout.sample_format == tiff.COMPLEX_INT:
        # Two integers are a sample, so they are never apart.
        half = replace(layout, bits=layout.bits // 2, planar=False)
        half.tags = {
            **layout.tags,
            258: ("H", [layout.bits] * bands),
            277: ("H", bands),
            339: ("H", [tiff.COMPLEX_INT] * bands),
        }
        layout = half
    tiff.write(path, (array, layout))


def name_of(number: int, kind: str, bands: int, how: str, layout: Layout) -> str:
    words = [f"{number:04}", f"{kind}x{bands}", how]
    colour = {0: "white0", 2: "rgb", 3: "palette", 5: "cmyk"}
    words += [colour[layout.photometric]] if layout.photometric in colour else []
    words += ["planar"] if layout.planar else []
    words += [f"tile{layout.tile[0]}x{layout.tile[1]}" if layout.tile else f"rows{layout.rows_per_strip}"]
    words += [f"pred{layout.predictor}"] if layout.predictor > 1 else []
    words += ["fill2"] if layout.fill_order == 2 else []
    words += ["be"] if layout.order == ">" else []
    words += ["big"] if layout.big else []
    words += ["sparse"] if layout.sparse else []
    words += [f"alpha{layout.extra_samples[0]}"] if any(layout.extra_samples) else []
    words += [f"nodata{layout.tags[42113][1]}"] if 42113 in layout.tags else []
    return f"tiff/{'-'.join(words).replace('#', '')}.tif"


def palette(size: int) -> list[int]:
    """Three columns, as a TIFF has them, with colours of 8 bits."""
    at = np.arange(size)
    columns = [(at * 7 + 3) % 256, (at * 29 + 100) % 256, (255 - at * 3) % 256]
    return [int(v) * 257 for column in columns for v in column]


def by_hand() -> list[Recipe]:
    """What chance would seldom bring together."""
    found: list[Recipe] = []
    for kind in ("u8", "u16", "f32"):
        for tile in (None, (32, 32)):
            for bands in (1, 3):
                array = array_of(f"{kind}{bands}", kind, (50, 67, bands))
                sample_format, bits = SAMPLES[kind]
                photometric = tiff.RGB if bands == 3 else tiff.BLACK_IS_ZERO
                base = Layout(bits, sample_format, photometric, tile=tile)
                where = f"{kind}x{bands}-{'tile' if tile else 'strip'}"
                for how in ("none", "lzw", "deflate", "packbits"):
                    layout = replace(base, compression=COMPRESSIONS[how], fill_order=2)
                    found.append((f"tiff/fill2-{where}-{how}.tif", saved(array, layout)))
                layout = replace(base, compression=tiff.LZW, old_lzw=True)
                found.append((f"tiff/oldlzw-{where}.tif", saved(array, layout)))
    for kind in ("u1", "u4", "u8", "u16"):
        for nodata in (None, "0", "7"):
            array = array_of(kind, kind, (50, 67, 1))
            if nodata and SAMPLES[kind][1] >= 4:
                array[10:20] = int(nodata)
            tags = {42113: ("s", nodata)} if nodata else {}
            layout = Layout(SAMPLES[kind][1], photometric=tiff.WHITE_IS_ZERO, tags=tags)
            found.append((f"tiff/white0-{kind}-nodata-{nodata}.tif", saved(array, layout)))
    for kind in ("f16", "f32", "f64"):
        for nodata in NODATA:
            array = array_of(kind, kind, (40, 41, 1))
            tags = {42113: ("s", nodata)}
            layout = Layout(SAMPLES[kind][1], tiff.FLOAT, tags=tags)
            label = nodata.replace("#", "")
            found.append((f"tiff/nodata-{kind}-{label}.tif", saved(array, layout)))
    for orientation in range(1, 9):
        array = array_of("turned", "u8", (40, 61, 3))
        tags = {274: ("H", orientation)}
        layout = Layout(photometric=tiff.RGB, tags=tags)
        found.append((f"tiff/orientation-{orientation}.tif", saved(array, layout)))
    for bands in range(2, 6):
        # Planes whose tiles and strips are cut at the edge.
        for tile, height in ((None, 40), ((16, 16), 40), ((32, 64), 33)):
            array = array_of("planes", "u16", (height, 35, bands))
            layout = Layout(16, planar=True, tile=tile, compression=tiff.DEFLATE)
            layout.extra_samples = (0,) * (bands - 1)
            where = "tile" if tile else "strip"
            found.append((f"tiff/planar-{bands}-{where}-{height}.tif", saved(array, layout)))
    return found


def sub_sampled() -> list[Recipe]:
    """YCbCr without JPEG, which has luma and chroma in blocks."""
    found: list[Recipe] = []
    for by in ((1, 1), (2, 1), (1, 2), (2, 2), (4, 1), (4, 2), (4, 4)):
        for how in ("none", "lzw", "deflate"):
            for tile in (None, (32, 32)):
                array = (pictures.smooth(50, 67, 3) * 255).astype(np.uint8)
                layout = Layout(photometric=tiff.YCBCR, compression=COMPRESSIONS[how])
                layout = replace(layout, subsampling=by, tile=tile, rows_per_strip=16)
                where = "tile" if tile else "strip"
                name = f"tiff/ycbcr-{by[0]}x{by[1]}-{how}-{where}.tif"
                found.append((name, saved(array, layout)))
    return found


def codecs() -> list[Recipe]:
    """Compressions that are image formats of their own."""
    found: list[Recipe] = []
    byte = {n: (pictures.smooth(75, 100, n) * 255).astype(np.uint8) for n in (1, 3, 4)}
    for where, tile in (("strip", None), ("tile", (48, 32))):
        base = Layout(tile=tile, rows_per_strip=16)
        for by in ((1, 1), (2, 1), (1, 2), (2, 2), (4, 1)):
            layout = replace(
                base, compression=tiff.JPEG, photometric=tiff.YCBCR, subsampling=by
            )
            found.append((f"tiff/jpeg-ycbcr-{by[0]}x{by[1]}-{where}.tif", saved(byte[3], layout)))
        for label, bands, photometric, planar in (
            ("gray", 1, tiff.BLACK_IS_ZERO, False),
            ("white0", 1, tiff.WHITE_IS_ZERO, False),
            ("rgb", 3, tiff.RGB, False),
            ("planes", 3, tiff.RGB, True),
            ("cmyk", 4, tiff.SEPARATED, False),
        ):
            layout = replace(
                base, compression=tiff.JPEG, photometric=photometric, planar=planar
            )
            found.append((f"tiff/jpeg-{label}-{where}.tif", saved(byte[bands], layout)))
        for label, photometric, extra in (
            ("rgba", tiff.RGB, (2,)),
            ("rgb-and-one", tiff.RGB, (0,)),
            ("four", tiff.BLACK_IS_ZERO, (0, 0, 0)),
        ):
            layout = replace(
                base, compression=tiff.JPEG, photometric=photometric, extra_samples=extra
            )
            found.append((f"tiff/jpeg-{label}-{where}.tif", saved(byte[4], layout)))
        for bands in (1, 3):
            twelve = (pictures.smooth(75, 100, bands) * 4095).astype(np.uint16)
            photometric = tiff.RGB if bands == 3 else tiff.BLACK_IS_ZERO
            layout = replace(base, bits=12, compression=tiff.JPEG, photometric=photometric)
            found.append((f"tiff/jpeg-12-bits-{bands}-{where}.tif", saved(twelve, layout)))
        for bands in (3, 4):
            extra = (2,) * (bands - 3)
            layout = replace(base, photometric=tiff.RGB, extra_samples=extra)
            for lossless in (True, False):
                webp = replace(layout, compression=tiff.WEBP, tags={-1: ("", lossless)})
                how = "lossless" if lossless else "lossy"
                found.append((f"tiff/webp-{how}-{bands}-{where}.tif", saved(byte[bands], webp)))
        for kind, bits in (("u8", 8), ("u16", 16)):
            for bands in (1, 3):
                array = array_of("jxl", kind, (75, 100, bands))
                photometric = tiff.RGB if bands == 3 else tiff.BLACK_IS_ZERO
                layout = replace(base, bits=bits, photometric=photometric)
                for how, number in (("jxl", tiff.JXL), ("jpeg2000", tiff.JPEG2000)):
                    one = replace(layout, compression=number)
                    found.append((f"tiff/{how}-{kind}x{bands}-{where}.tif", saved(array, one)))
    return found


def odd() -> list[Recipe]:
    """Directories that leave something out, or say it in another way."""
    found: list[Recipe] = []
    gray, rgb = array_of("odd", "u8", (50, 67, 1)), array_of("odd", "u8", (50, 67, 3))
    tags: dict[str, dict[int, tuple[str, object]]] = {
        "no-byte-counts": {279: ("I", None)},
        "zero-byte-counts": {279: ("I", [0, 0, 0, 0])},
        "no-photometric": {262: ("H", None)},
        "no-bits": {258: ("H", None)},
        "no-rows-per-strip": {278: ("I", None)},
        "huge-rows-per-strip": {278: ("I", 0xFFFF_FFFF)},
        "no-samples-per-pixel": {277: ("H", None)},
        "no-planar": {284: ("H", None)},
        "planar-of-one": {284: ("H", 2)},
        "short-sizes": {256: ("H", 67), 257: ("H", 50)},
        "min-max": {280: ("H", 3), 281: ("H", 250)},
        "void": {339: ("H", 4)},
    }
    for label, change in tags.items():
        # With one strip where the layout would otherwise follow from what is missing.
        rows = 50 if "rows" in label or label == "no-byte-counts" else 16
        layout = Layout(rows_per_strip=rows, tags=change)
        found.append((f"tiff/odd-{label}.tif", saved(gray, layout)))
        if label not in ("no-samples-per-pixel", "no-bits", "planar-of-one"):
            layout = Layout(photometric=tiff.RGB, rows_per_strip=rows, tags=dict(change))
            found.append((f"tiff/odd-rgb-{label}.tif", saved(rgb, layout)))
    one = Layout(photometric=tiff.RGB, tags={258: ("H", 8)})
    found.append(("tiff/odd-one-bits-of-three.tif", saved(rgb, one)))
    bare = Layout(photometric=tiff.RGB)
    five = array_of("odd", "u8", (50, 67, 5))
    found.append(("tiff/odd-extra-not-declared.tif", saved(five, bare)))

    def in_strip_tags(path: Path) -> None:
        layout = Layout(tile=(32, 32))
        tiff.write(path, (gray, layout))
        data = path.read_bytes()
        for tag, instead in ((324, 273), (325, 279)):
            old, new = (struct.pack("<HH", t, 4) for t in (tag, instead))
            data = data.replace(old, new)
        path.write_bytes(data)

    def in_a_loop(path: Path) -> None:
        tiff.write(path, (gray, Layout()))
        data = bytearray(path.read_bytes())
        data[-4:] = data[4:8]
        path.write_bytes(data)

    def cut(path: Path) -> None:
        # The directory comes first, so that only pixels are missing.
        tiff.write(path, (gray, Layout(compression=tiff.DEFLATE)))
        data = bytearray(path.read_bytes())
        (place,) = struct.unpack_from("<I", data, 4)
        data[8 : place // 2] = bytes(place // 2 - 8)
        path.write_bytes(data)

    found += [
        ("tiff/odd-tiles-in-strip-tags.tif", in_strip_tags),
        ("tiff/odd-loop.tif", in_a_loop),
        ("tiff/odd-pixels-overwritten.tif", cut),
    ]
    return found


def pages() -> list[Recipe]:
    """Several images in a file, alike and not."""
    alike = [(array_of(f"page{n}", "u8", (40, 51, 1)), Layout()) for n in range(3)]
    unlike = [
        (array_of("page0", "u8", (40, 51, 3)), Layout(photometric=tiff.RGB)),
        (array_of("page1", "u16", (33, 20, 1)), Layout(16, compression=tiff.LZW)),
        (array_of("page2", "f32", (70, 64, 1)), Layout(32, tiff.FLOAT, tile=(16, 16))),
    ]
    fax = [(pictures.drawn(90, 70)[:, :, np.newaxis], Layout(1)) for _ in range(2)]
    return [
        ("tiff/pages-alike.tif", lambda path: tiff.write(path, *alike)),
        ("tiff/pages-unlike.tif", lambda path: tiff.write(path, *unlike)),
        ("tiff/pages-bits.tif", lambda path: tiff.write(path, *fax)),
    ]
