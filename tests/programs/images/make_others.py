"""Images of other formats, by Pillow, OpenCV, imagecodecs and by hand."""

import io
import itertools
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import imagecodecs
import numpy as np
import OpenEXR
from PIL import Image

import pictures
from make_tiff import array_of

Recipe = tuple[str, Callable[[Path], None]]


def recipes() -> list[Recipe]:
    return [*jpeg(), *png(), *webp(), *gif(), *bmp(), *jpeg2000(), *netpbm(), *tga(), *exr(), *rest()]


def byte(bands: int, height: int = 75, width: int = 100) -> np.ndarray:
    array = (pictures.smooth(height, width, bands) * 255).astype(np.uint8)
    return array[:, :, 0] if bands == 1 else array


def sharp(bands: int, dtype: str = "u1", height: int = 50, width: int = 67) -> np.ndarray:
    bits = np.dtype(dtype).itemsize * 8
    array = array_of(f"sharp{bands}{dtype}", f"u{bits}", (height, width, bands))
    return array[:, :, 0] if bands == 1 else array


def holding(data: bytes) -> Callable[[Path], None]:
    return lambda path: None if path.write_bytes(data) else None


def pillow(image: Image.Image, **options: object) -> Callable[[Path], None]:
    return lambda path: image.save(path, **options)


def jpeg() -> list[Recipe]:
    found: list[Recipe] = []
    colour, gray = Image.fromarray(byte(3)), Image.fromarray(byte(1))
    for by, quality, progressive in itertools.product(
        ("4:4:4", "4:2:2", "4:2:0", "4:4:0", "4:1:1"), (30, 90), (False, True)
    ):
        if by in ("4:4:4", "4:2:2", "4:2:0"):
            options = {"subsampling": by, "quality": quality, "progressive": progressive}
            way = pillow(colour, format="JPEG", **options)
        else:
            across, down = (1, 2) if by == "4:4:0" else (4, 1)
            data = imagecodecs.jpeg_encode(byte(3), level=quality, subsampling=(across, down))
            if progressive:
                continue
            way = holding(data)
        label = f"{by.replace(':', '')}-{quality}{'-progressive' if progressive else ''}"
        found.append((f"jpeg/ycbcr-{label}.jpg", way))
    for label, image, options in (
        ("gray", gray, {}),
        ("gray-progressive", gray, {"progressive": True}),
        ("restarts", colour, {"restart_marker_blocks": 3}),
        ("restart-rows", colour, {"restart_marker_rows": 1, "subsampling": "4:2:0"}),
        ("optimized", colour, {"optimize": True}),
        ("rgb", colour, {"keep_rgb": True}),
        ("cmyk", Image.fromarray(byte(4), "CMYK"), {}),
        ("cmyk-progressive", Image.fromarray(byte(4), "CMYK"), {"progressive": True}),
        ("comment", colour, {"comment": b"said " * 10000}),
        ("profile", colour, {"icc_profile": bytes(range(256)) * 600}),
    ):
        found.append((f"jpeg/{label}.jpg", pillow(image, format="JPEG", **options)))
    for width, height in ((1, 1), (7, 9), (16, 16), (17, 15), (8, 100), (255, 3)):
        for by in ("4:4:4", "4:2:0"):
            image = Image.fromarray(byte(3, height, width))
            way = pillow(image, format="JPEG", subsampling=by)
            found.append((f"jpeg/size-{width}x{height}-{by.replace(':', '')}.jpg", way))
    for orientation in (3, 6):
        exif = Image.Exif()
        exif[274] = orientation
        way = pillow(colour, format="JPEG", exif=exif)
        found.append((f"jpeg/orientation-{orientation}.jpg", way))
    plain = io.BytesIO()
    colour.save(plain, format="JPEG")
    whole = plain.getvalue()
    scan = whole.index(b"\xff\xda")
    for label, data in (
        ("bytes-between-segments", whole[:scan] + b"\x11\x22\x33" + whole[scan:]),
        ("filled-markers", whole[:scan] + b"\xff\xff\xff" + whole[scan:]),
        ("more-behind", whole + b"more" * 100),
        ("two-files", whole + whole),
        ("short-app14", whole[:2] + b"\xff\xee\x00\x09Adobe\x00\x64" + whole[2:]),
        ("no-end", whole[:-2]),
        ("cut", whole[: len(whole) * 2 // 3]),
        ("damaged", whole[: scan + 200] + bytes(40) + whole[scan + 240 :]),
    ):
        found.append((f"jpeg/odd-{label}.jpg", holding(data)))
    for label, array in (("gray", byte(1)), ("rgb", byte(3)), ("gray16", sharp(1, "u2"))):
        found.append((f"jpeg/lossless-{label}.jpg", holding(imagecodecs.jpegls_encode(array))))
        found.append((f"jpeg/ls-{label}.jls", holding(imagecodecs.jpegls_encode(array))))
    found = [one for one in found if "lossless" not in one[0]]
    for bits in (8, 12, 16):
        array = array_of("sof3", "u16", (50, 67, 1))[:, :, 0] >> (16 - bits)
        array = array.astype(np.uint8) if bits == 8 else array
        data = imagecodecs.ljpeg_encode(array, bitspersample=bits)
        found.append((f"jpeg/lossless-{bits}.jpg", holding(data)))
    gray12 = (sharp(1, "u2") >> 4).astype(np.uint16)
    data = imagecodecs.jpeg_encode(gray12, level=90, bitspersample=12)
    return [*found, ("jpeg/twelve-bits.jpg", holding(data))]


def chunk(kind: bytes, data: bytes) -> bytes:
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def png_file(
    array: np.ndarray, bits: int, colour: int, *, interlaced: bool = False, chunks: bytes = b""
) -> bytes:
    """Any type of PNG, which no library writes all of; each row has another filter type of two."""
    height, width, bands = array.shape

    def rows(part: np.ndarray) -> bytes:
        if part.size == 0:
            return b""
        if bits == 16:
            raw = part.astype(">u2").reshape(part.shape[0], -1).view(np.uint8)
        elif bits == 8:
            raw = part.reshape(part.shape[0], -1)
        else:
            places = np.arange(bits - 1, -1, -1)
            ones = (part.reshape(part.shape[0], -1)[:, :, None] >> places) & 1
            raw = np.packbits(ones.reshape(part.shape[0], -1).astype(np.uint8), axis=1)
        out = bytearray()
        before = np.zeros(raw.shape[1], np.uint8)
        for number, row in enumerate(raw):
            # None and Up.
            out += bytes([0]) + row.tobytes() if number % 2 else bytes([2]) + (row - before).tobytes()
            before = row
        return bytes(out)

    parts = [(0, 0, 1, 1)] if not interlaced else ADAM7
    data = b"".join(rows(array[y::down, x::across]) for x, y, across, down in parts)
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, interlaced)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunks
        + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")
    )


def png() -> list[Recipe]:
    found: list[Recipe] = []
    kinds = [
        *((0, bits, 1, "gray") for bits in (1, 2, 4, 8, 16)),
        *((2, bits, 3, "rgb") for bits in (8, 16)),
        *((3, bits, 1, "palette") for bits in (1, 2, 4, 8)),
        *((4, bits, 2, "gray-alpha") for bits in (8, 16)),
        *((6, bits, 4, "rgba") for bits in (8, 16)),
    ]
    for (colour, bits, bands, label), interlaced, clear in itertools.product(
        kinds, (False, True), (False, True)
    ):
        array = array_of(f"png{label}", f"u{bits}", (41, 53, bands))
        chunks = b""
        if colour == 3:
            size = 1 << bits
            chunks += chunk(b"PLTE", bytes((n * 37 + k * 90) % 256 for n in range(size) for k in range(3)))
        if clear:
            if colour == 3:
                chunks += chunk(b"tRNS", bytes([0, 128, 255, 7][: min(1 << bits, 4)]))
            elif colour in (0, 2):
                chunks += chunk(b"tRNS", struct.pack(f">{bands}H", *(int(v) for v in array[3, 5])))
            else:
                continue
        name = f"png/{label}-{bits}{'-interlaced' if interlaced else ''}{'-trns' if clear else ''}.png"
        data = png_file(array, bits, colour, interlaced=interlaced, chunks=chunks)
        found.append((name, holding(data)))
    array = array_of("pnggray", "u8", (41, 53, 3))
    for label, chunks in (
        ("gamma", chunk(b"gAMA", struct.pack(">I", 100000))),
        ("significant-bits", chunk(b"sBIT", bytes([5, 6, 5]))),
        ("text", chunk(b"tEXt", b"Comment\0" + b"said " * 9000)),
        ("background", chunk(b"bKGD", struct.pack(">3H", 1, 2, 3))),
    ):
        found.append((f"png/odd-{label}.png", holding(png_file(array, 8, 2, chunks=chunks))))
    plain = png_file(array, 8, 2)
    found.append(("png/odd-no-end.png", holding(plain[:-12])))
    found.append(("png/odd-cut.png", holding(plain[: len(plain) // 2])))
    found.append(("png/odd-more-behind.png", holding(plain + b"more" * 50)))
    wrong = bytearray(plain)
    wrong[-14] ^= 0xFF
    found.append(("png/odd-wrong-sum.png", holding(bytes(wrong))))
    frames = [Image.fromarray(sharp(3)), Image.fromarray(sharp(3)[::-1].copy())]
    way = pillow(frames[0], format="PNG", save_all=True, append_images=frames[1:])
    return [*found, ("png/animated.png", way)]


def webp() -> list[Recipe]:
    found: list[Recipe] = []
    for bands, lossless in itertools.product((3, 4), (True, False)):
        image = Image.fromarray(byte(bands))
        for label, options in (
            ("plain", {}),
            ("exif", {"exif": b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0"}),
            ("profile", {"icc_profile": bytes(range(256))}),
            ("exact", {"exact": True, "method": 6}),
        ):
            how = "lossless" if lossless else "lossy"
            way = pillow(image, format="WEBP", lossless=lossless, **options)
            found.append((f"webp/{how}-{bands}-{label}.webp", way))
        more = [Image.fromarray(byte(bands)[::-1].copy())]
        way = pillow(image, format="WEBP", lossless=lossless, save_all=True, append_images=more)
        found.append((f"webp/animated-{how}-{bands}.webp", way))
    for width, height in ((1, 1), (3, 17), (129, 2)):
        for lossless in (True, False):
            way = pillow(Image.fromarray(byte(3, height, width)), format="WEBP", lossless=lossless)
            found.append((f"webp/size-{width}x{height}-{lossless}.webp", way))
    return found


def gif() -> list[Recipe]:
    found: list[Recipe] = []
    for colours in (2, 4, 16, 200, 256):
        image = Image.fromarray(byte(3)).quantize(colours)
        found.append((f"gif/colours-{colours}.gif", pillow(image)))
        found.append((f"gif/interlaced-{colours}.gif", pillow(image, interlace=1)))
        found.append((f"gif/transparent-{colours}.gif", pillow(image, transparency=1)))
    frames = [Image.fromarray(byte(3)).quantize(16), Image.fromarray(byte(3)[::-1].copy()).quantize(16)]
    for disposal in (0, 1, 2, 3):
        way = pillow(frames[0], save_all=True, append_images=frames[1:], disposal=disposal, duration=50)
        found.append((f"gif/animated-{disposal}.gif", way))
    found.append(("gif/gray.gif", pillow(Image.fromarray(byte(1)))))
    return found


def bmp_file(
    bits: int, rows: bytes, size: tuple[int, int], *, header: int = 40, compression: int = 0,
    palette: bytes = b"", top_down: bool = False, masks: tuple[int, ...] = (),
) -> bytes:
    height, width = size
    told = struct.pack("<IiiHHIIiiII", 40, width, -height if top_down else height, 1, bits,
                       compression, len(rows), 2835, 2835, len(palette) // 4, 0)
    extra = b""
    if header == 12:
        told = struct.pack("<IHHHH", 12, width, height, 1, bits)
        palette = b"".join(palette[n : n + 3] for n in range(0, len(palette), 4))
    elif header == 64:
        told = struct.pack("<I", 64) + told[4:] + bytes(24)
    elif header > 40:
        given = struct.pack("<4I", *(masks + (0, 0, 0, 0))[:4])
        told = struct.pack("<I", header) + told[4:] + given
        told += (b"BGRs" + bytes(48) if header >= 108 else b"")
        told = told.ljust(header, b"\0")[:header]
    elif masks:
        extra = struct.pack(f"<{len(masks)}I", *masks)
    start = 14 + len(told) + len(extra) + len(palette)
    return struct.pack("<2sIHHI", b"BM", start + len(rows), 0, 0, start) + told + extra + palette + rows


def bmp_rows(array: np.ndarray, bits: int) -> bytes:
    """From the lowest row, each filled to four bytes."""
    out = bytearray()
    for row in array[::-1]:
        if bits >= 8:
            data = row.tobytes()
        else:
            ones = (row[:, None] >> np.arange(bits - 1, -1, -1)) & 1
            data = np.packbits(ones.ravel().astype(np.uint8)).tobytes()
        out += data + bytes(-len(data) % 4)
    return bytes(out)


def bmp() -> list[Recipe]:
    found: list[Recipe] = []
    palette = b"".join(bytes([n * 3 % 256, n * 71 % 256, 255 - n % 256, 0]) for n in range(256))
    for bits, header in itertools.product((1, 2, 4, 8), (12, 40, 64, 108, 124)):
        index = array_of("bmp", f"u{bits}", (41, 53, 1))[:, :, 0]
        data = bmp_file(bits, bmp_rows(index, bits), index.shape, header=header,
                        palette=palette[: 4 << bits])
        found.append((f"bmp/palette-{bits}-header-{header}.bmp", holding(data)))
    rgb = sharp(3)
    for header in (12, 40, 52, 56, 64, 108, 124):
        data = bmp_file(24, bmp_rows(rgb, 24), rgb.shape[:2], header=header)
        found.append((f"bmp/rgb-header-{header}.bmp", holding(data)))
    upside = bmp_file(24, bmp_rows(rgb, 24), rgb.shape[:2], top_down=True)
    found.append(("bmp/rgb-top-down.bmp", holding(upside)))
    rgba = sharp(4)
    for header, masks in (
        (40, ()),
        (124, (0xFF0000, 0xFF00, 0xFF, 0xFF000000)),
        (108, (0xFF, 0xFF00, 0xFF0000, 0)),
        (40, (0xFF0000, 0xFF00, 0xFF)),
        (56, (0xFF00, 0xFF0000, 0xFF000000, 0xFF)),
    ):
        data = bmp_file(32, bmp_rows(rgba, 32), rgba.shape[:2], header=header,
                        compression=3 if masks else 0, masks=masks)
        found.append((f"bmp/rgba-{header}-{len(masks)}.bmp", holding(data)))
    short = sharp(1, "u2")
    for label, masks in (("555", ()), ("565", (0xF800, 0x7E0, 0x1F)), ("444", (0xF00, 0xF0, 0xF))):
        data = bmp_file(16, bmp_rows(short, 16), short.shape, compression=3 if masks else 0, masks=masks)
        found.append((f"bmp/sixteen-{label}.bmp", holding(data)))
    for bits in (4, 8):
        for label in ("runs", "skips", "short"):
            rows = run_lengths(label, bits)
            data = bmp_file(bits, rows, (20, 30), compression=1 if bits == 8 else 2,
                            palette=palette[: 4 << bits])
            found.append((f"bmp/rle{bits}-{label}.bmp", holding(data)))
    return found


def run_lengths(label: str, bits: int) -> bytes:
    """Encoded and absolute runs; with skipped pixels; or with an end that comes early."""
    out = bytearray()
    for row in range(20):
        out += bytes([10, (row * 13 + 0x21) % 256])
        if label == "skips" and row % 3 == 0:
            out += bytes([0, 2, 5, 0])
        count = 9
        literal = bytes((row * 7 + n * 29) % 256 for n in range(count if bits == 8 else 5))
        out += bytes([0, count]) + literal + bytes(len(literal) % 2)
        if label == "runs":
            out += bytes([11, 0x12])
        out += b"\0\0"
        if label == "short" and row == 11:
            break
    return bytes(out + b"\0\1")


def jpeg2000() -> list[Recipe]:
    found: list[Recipe] = []
    for dtype, bands, lossless, form in itertools.product(
        ("u1", "u2"), (1, 2, 3, 4), (True, False), ("jp2", "j2k")
    ):
        array = sharp(bands, dtype) if lossless else smooth_of(bands, dtype)
        data = imagecodecs.jpeg2k_encode(
            array, level=0 if lossless else 40, reversible=lossless, codecformat=form
        )
        how = "lossless" if lossless else "lossy"
        found.append((f"jpeg2000/{dtype}x{bands}-{how}.{form}", holding(data)))
    for bits in (1, 4, 10, 12, 15):
        array = array_of("j2k", "u16", (50, 67, 1))[:, :, 0] >> (16 - bits)
        array = array.astype(np.uint8 if bits <= 8 else np.uint16)
        data = imagecodecs.jpeg2k_encode(array, level=0, bitspersample=bits, codecformat="jp2")
        found.append((f"jpeg2000/bits-{bits}.jp2", holding(data)))
    for signed in ("i8", "i16"):
        array = array_of("j2k", signed, (50, 67, 1))[:, :, 0]
        found.append((f"jpeg2000/{signed}.jp2", holding(imagecodecs.jpeg2k_encode(array, level=0))))
    tiles = [{"tile_size": (32, 32)}, {"progression": "RPCL"}, {"num_resolutions": 1}]
    tiles += [{"tile_size": (17, 23), "progression": "CPRL"}, {"quality_layers": [30, 10, 0]}]
    for number, options in enumerate(tiles):
        image = Image.fromarray(sharp(3))
        way = pillow(image, format="JPEG2000", irreversible=False, **options)
        found.append((f"jpeg2000/options-{number}.jp2", way))
    found.append(("jpeg2000/ht.jph", holding(imagecodecs.htj2k_encode(sharp(3), reversible=True))))
    return found


def smooth_of(bands: int, dtype: str) -> np.ndarray:
    array = (pictures.smooth(75, 100, bands) * np.iinfo(dtype).max).astype(dtype)
    return array[:, :, 0] if bands == 1 else array


def netpbm() -> list[Recipe]:
    found: list[Recipe] = []
    bits = pictures.drawn(41, 53)
    found.append(("netpbm/bits.pbm", holding(b"P4\n53 41\n" + np.packbits(bits, axis=1).tobytes())))
    text = "\n".join(" ".join(map(str, row)) for row in bits)
    found.append(("netpbm/text.pbm", holding(f"P1\n# made\n53 41\n{text}\n".encode())))
    for top, bands in itertools.product((1, 15, 100, 255, 256, 1000, 4095, 65535), (1, 3)):
        dtype = ">u2" if top > 255 else "u1"
        array = (pictures.smooth(41, 53, bands) * top).round().astype(dtype)
        letter, ending = (5, "pgm") if bands == 1 else (6, "ppm")
        data = f"P{letter}\n53 41\n{top}\n".encode() + array.tobytes()
        found.append((f"netpbm/{top}.{ending}", holding(data)))
        text = "\n".join(" ".join(map(str, row.ravel())) for row in array)
        data = f"P{letter - 3}\n53 41\n{top}\n{text}\n".encode()
        found.append((f"netpbm/text-{top}.{ending}", holding(data)))
    for kind, bands in (("GRAYSCALE", 1), ("GRAYSCALE_ALPHA", 2), ("RGB", 3), ("RGB_ALPHA", 4)):
        for top in (255, 65535):
            array = np.atleast_3d(sharp(bands, "u1" if top == 255 else "u2"))
            head = f"P7\nWIDTH 67\nHEIGHT 50\nDEPTH {bands}\nMAXVAL {top}\nTUPLTYPE {kind}\nENDHDR\n"
            data = head.encode() + array.astype("u1" if top == 255 else ">u2").tobytes()
            found.append((f"netpbm/{kind.lower()}-{top}.pam", holding(data)))
    floats = pictures.smooth(41, 53, 3).astype("<f4")
    found.append(("netpbm/float.pfm", holding(b"PF\n53 41\n-1.0\n" + floats[::-1].tobytes())))
    return found


def tga() -> list[Recipe]:
    found: list[Recipe] = []
    for bands, packed in itertools.product((1, 3, 4), (None, "tga_rle")):
        image = Image.fromarray(sharp(bands))
        for upward in (-1, 1):
            way = pillow(image, format="TGA", compression=packed, orientation=upward)
            label = f"{bands}{'-rle' if packed else ''}{'-up' if upward > 0 else ''}"
            found.append((f"tga/{label}.tga", way))
    image = Image.fromarray(byte(3)).quantize(64)
    found.append(("tga/palette.tga", pillow(image, format="TGA")))
    return found


EXR_COMPRESSIONS = ("NO", "RLE", "ZIPS", "ZIP", "PIZ", "PXR24", "B44", "B44A", "DWAA", "DWAB")


def exr() -> list[Recipe]:
    found: list[Recipe] = []
    planes = np.moveaxis(pictures.smooth(50, 67, 5) * 10, -1, 0)
    for names, kind, how in itertools.product(
        ("RGB", "RGBA", "Y", "YA", "RGBZ", "Z", "RG"), ("f2", "f4", "u4"), EXR_COMPRESSIONS
    ):
        # Each compression with colours, and each set of channels with two compressions.
        if names not in ("RGB", "Y") and how not in ("NO", "ZIP"):
            continue
        if kind == "u4" and how not in ("NO", "ZIP"):
            continue
        channels = {
            name: np.ascontiguousarray((plane * (100 if kind == "u4" else 1)).astype(kind))
            for name, plane in zip(names, planes, strict=False)
        }
        header = {"compression": getattr(OpenEXR, f"{how}_COMPRESSION")}
        header["type"] = OpenEXR.scanlineimage
        name = f"exr/{names}-{kind}-{how.lower()}.exr"
        found.append((name, lambda path, h=header, c=channels: open_exr(path, h, c)))
    return found


def open_exr(path: Path, header: dict, channels: dict) -> None:
    with OpenEXR.File(header, channels) as file:
        file.write(str(path))


def rest() -> list[Recipe]:
    found: list[Recipe] = []
    floats = pictures.smooth(50, 67, 3).astype(np.float32) * 10
    found.append(("rest/radiance.hdr", opencv(floats, [])))
    for bands in (3, 4):
        found.append((f"rest/{bands}.qoi", holding(imagecodecs.qoi_encode(sharp(bands)))))
    for bands, dtype in itertools.product((1, 3, 4), ("u1", "u2")):
        data = imagecodecs.jpegxl_encode(sharp(bands, dtype), lossless=True)
        found.append((f"rest/lossless-{bands}-{dtype}.jxl", holding(data)))
    lossy = imagecodecs.jpegxl_encode(byte(3), level=85, lossless=False)
    found.append(("rest/lossy.jxl", holding(lossy)))
    data = imagecodecs.jpegxl_encode(array_of("floats", "f32", (50, 67, 3)), lossless=True)
    found.append(("rest/floats.jxl", holding(data)))
    for bits in (1, 4, 10, 12):
        few = sharp(1, "u2") >> (16 - bits)
        few = few.astype(np.uint8) if bits <= 8 else few
        data = imagecodecs.jpegxl_encode(few, lossless=True, bitspersample=bits, usecontainer=bits > 8)
        found.append((f"rest/bits-{bits}.jxl", holding(data)))
    found.append(("rest/photo.avif", holding(imagecodecs.avif_encode(byte(3), level=90))))
    return found


def opencv(array: np.ndarray, flags: list[int]) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        if not cv2.imwrite(str(path), array, flags):
            raise OSError(f"OpenCV does not write {path}")

    return make
