"""Writes TIFF files of any layout, also those that no library writes.

Section numbers are those of TIFF 6.0. An array is (rows, columns, samples).
"""

import struct
from dataclasses import dataclass, field
from pathlib import Path

import imagecodecs
import numpy as np

NONE, LZW, JPEG, DEFLATE, PACKBITS = 1, 5, 7, 8, 32773
OLD_DEFLATE, LZMA, ZSTD, WEBP, JXL, JPEG2000 = 32946, 34925, 50000, 50001, 50002, 34712
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, SEPARATED, YCBCR = 0, 1, 2, 3, 5, 6
UNSIGNED, SIGNED, FLOAT, COMPLEX_INT, COMPLEX = 1, 2, 3, 5, 6


@dataclass
class Layout:
    """How samples become segments of a file."""

    bits: int = 8
    sample_format: int = UNSIGNED
    photometric: int = BLACK_IS_ZERO
    planar: bool = False
    # Columns and rows of a tile, or None for strips.
    tile: tuple[int, int] | None = None
    rows_per_strip: int = 16
    compression: int = NONE
    predictor: int = 1
    fill_order: int = 1
    order: str = "<"
    big: bool = False
    extra_samples: tuple[int, ...] = ()
    # How much smaller chroma is, in columns and rows.
    subsampling: tuple[int, int] | None = None
    old_lzw: bool = False
    # Every nth segment is missing.
    sparse: int = 0
    # Further tags: number, type and values; they replace those of the layout.
    tags: dict[int, tuple[str, object]] = field(default_factory=dict)


def packed(rows: np.ndarray, layout: Layout) -> bytes:
    """The samples of a segment, each row from a byte of its own."""
    bits, order = layout.bits, layout.order
    if bits == 24 and layout.sample_format == FLOAT:
        data = np.ascontiguousarray(rows, np.float32)
        return imagecodecs.float24_encode(data, byteorder=order)
    if bits == 24:
        four = np.ascontiguousarray(rows.astype(order + "u4")).view(np.uint8)
        four = four.reshape(-1, 4)
        return np.ascontiguousarray(four[:, :3] if order == "<" else four[:, 1:]).tobytes()
    if bits % 8 == 0:
        return np.ascontiguousarray(rows.astype(rows.dtype.newbyteorder(order))).tobytes()
    flat = rows.reshape(rows.shape[0], -1).astype(np.int64)
    places = np.arange(bits - 1, -1, -1)
    ones = ((flat[:, :, None] >> places) & 1).astype(np.uint8)
    return np.packbits(ones.reshape(rows.shape[0], -1), axis=1).tobytes()


def differenced(rows: np.ndarray, layout: Layout) -> bytes:
    """Predictor 2 (section 14) and 3 (Adobe's technical note 3)."""
    height, width, samples = rows.shape
    if layout.predictor == 2:
        with np.errstate(over="ignore"):
            first = np.diff(rows, axis=1, prepend=np.zeros((height, 1, samples), rows.dtype))
        return packed(first.astype(rows.dtype), layout)
    size = layout.bits // 8
    if size == 3:
        data = np.frombuffer(
            imagecodecs.float24_encode(np.ascontiguousarray(rows, np.float32), byteorder=">"),
            np.uint8,
        )
    else:
        data = np.frombuffer(rows.astype(rows.dtype.newbyteorder(">")).tobytes(), np.uint8)
    planes = data.reshape(height, width * samples, size).transpose(0, 2, 1).reshape(height, -1)
    first = planes.copy()
    first[:, samples:] = planes[:, samples:] - planes[:, :-samples]
    return first.tobytes()


def sub_sampled(rows: np.ndarray, by: tuple[int, int]) -> bytes:
    """Section 21: of each block first all luma, then Cb and Cr."""
    across, down = by
    height, width, _ = rows.shape
    full = np.pad(rows, ((0, -height % down), (0, -width % across), (0, 0)), mode="edge")
    blocks = full.reshape(full.shape[0] // down, down, full.shape[1] // across, across, 3)
    blocks = blocks.transpose(0, 2, 1, 3, 4).reshape(-1, down * across, 3)
    chroma = blocks[:, :, 1:].astype(np.uint16).mean(axis=1).astype(np.uint8)
    return np.concatenate([blocks[:, :, 0], chroma], axis=1).tobytes()


def old_lzw(data: bytes) -> bytes:
    """LZW as it was before TIFF 5: lowest bits first. Literals only."""
    codes = []
    for at in range(0, len(data), 200):
        codes += [256, *data[at : at + 200]]
    codes.append(257)
    ones = ((np.array(codes)[:, None] >> np.arange(9)) & 1).astype(np.uint8)
    return np.packbits(ones.ravel(), bitorder="little").tobytes()


def compressed(rows: np.ndarray, layout: Layout) -> bytes:
    """A segment as it stands in the file."""
    how = layout.compression
    if how in (JPEG, WEBP, JXL, JPEG2000):
        return by_a_codec(rows, layout)
    if layout.subsampling:
        data = sub_sampled(rows, layout.subsampling)
    elif layout.predictor > 1:
        data = differenced(rows, layout)
    else:
        data = packed(rows, layout)
    if how == LZW:
        data = old_lzw(data) if layout.old_lzw else imagecodecs.lzw_encode(data)
    elif how in (DEFLATE, OLD_DEFLATE):
        data = imagecodecs.zlib_encode(data, level=6)
    elif how == PACKBITS:
        # Each row by itself (section 9).
        size = len(data) // rows.shape[0]
        parts = (data[at : at + size] for at in range(0, len(data), size))
        data = b"".join(imagecodecs.packbits_encode(part) for part in parts)
    elif how == LZMA:
        data = imagecodecs.lzma_encode(data)
    elif how == ZSTD:
        data = imagecodecs.zstd_encode(data, level=3)
    if layout.fill_order == 2:
        data = bytes(imagecodecs.bitorder_encode(data))
    return data


def by_a_codec(rows: np.ndarray, layout: Layout) -> bytes:
    rows = np.ascontiguousarray(rows[:, :, 0] if rows.shape[2] == 1 else rows)
    if layout.compression == WEBP:
        lossless = layout.tags.get(-1, ("", True))[1]
        return imagecodecs.webp_encode(rows, level=None if lossless else 80, lossless=lossless)
    if layout.compression == JXL:
        return imagecodecs.jpegxl_encode(rows, lossless=True)
    if layout.compression == JPEG2000:
        return imagecodecs.jpeg2k_encode(rows, level=0, reversible=True, codecformat="j2k", mct=False)
    space = {YCBCR: ("RGB", "YCBCR"), RGB: ("RGB", "RGB"), SEPARATED: ("CMYK", "CMYK")}
    inside, outside = space.get(layout.photometric, ("GRAYSCALE", "GRAYSCALE"))
    if layout.planar:
        inside = outside = "GRAYSCALE"
    elif layout.extra_samples:
        # Four components that are none of those: JPEG does not say what they are.
        inside = outside = "UNKNOWN"
    across, down = layout.subsampling or (1, 1)
    options = {"bitspersample": layout.bits} if layout.bits > 8 else {}
    return imagecodecs.jpeg_encode(
        rows,
        level=85,
        colorspace=inside,
        outcolorspace=outside,
        subsampling=(across, down),
        **options,
    )


def segments(array: np.ndarray, layout: Layout) -> list[bytes]:
    """In the order of their tags: planes one after the other."""
    height, width, samples = array.shape
    planes = [array[:, :, k : k + 1] for k in range(samples)] if layout.planar else [array]
    found = []
    for plane in planes:
        if layout.tile:
            across, down = layout.tile
            pad = ((0, -height % down), (0, -width % across), (0, 0))
            full = np.pad(plane, pad, mode="edge")
            for y in range(0, full.shape[0], down):
                for x in range(0, full.shape[1], across):
                    found.append(compressed(full[y : y + down, x : x + across], layout))
        else:
            for y in range(0, height, layout.rows_per_strip):
                found.append(compressed(plane[y : y + layout.rows_per_strip], layout))
    return found


# The letter of struct for each type of a tag (section 2), and its number.
TYPES = {"B": 1, "s": 2, "H": 3, "I": 4, "R": 5, "b": 6, "h": 8, "i": 9, "f": 11, "d": 12, "Q": 16}


def value_bytes(kind: str, values: object, order: str) -> tuple[int, bytes]:
    """How many values, and their bytes."""
    if kind == "s":
        data = str(values).encode() + b"\0"
        return len(data), data
    numbers = list(values) if isinstance(values, (list, tuple)) else [values]
    if kind == "R":
        return len(numbers) // 2, struct.pack(f"{order}{len(numbers)}I", *numbers)
    return len(numbers), struct.pack(f"{order}{len(numbers)}{kind}", *numbers)


def tags_of(array: np.ndarray, layout: Layout) -> dict[int, tuple[str, object]]:
    height, width, samples = array.shape
    tags: dict[int, tuple[str, object]] = {
        256: ("I", width),
        257: ("I", height),
        258: ("H", [layout.bits] * samples),
        259: ("H", layout.compression),
        262: ("H", layout.photometric),
        277: ("H", samples),
        284: ("H", 2 if layout.planar else 1),
        339: ("H", [layout.sample_format] * samples),
    }
    if layout.fill_order != 1:
        tags[266] = ("H", layout.fill_order)
    if layout.predictor != 1:
        tags[317] = ("H", layout.predictor)
    if layout.extra_samples:
        tags[338] = ("H", list(layout.extra_samples))
    if layout.subsampling:
        tags[530] = ("H", list(layout.subsampling))
    if layout.photometric == YCBCR and layout.compression != JPEG:
        tags[532] = ("R", [0, 1, 255, 1, 128, 1, 255, 1, 128, 1, 255, 1])
    if layout.tile:
        tags[322], tags[323] = ("I", layout.tile[0]), ("I", layout.tile[1])
    else:
        tags[278] = ("I", layout.rows_per_strip)
    return tags


def write(path: Path, *images: tuple[np.ndarray, Layout]) -> None:
    """Each image is a page."""
    first = images[0][1]
    order, big = first.order, first.big
    word = "Q" if big else "I"
    out = bytearray(b"II" if order == "<" else b"MM")
    if big:
        out += struct.pack(order + "HHHQ", 43, 8, 0, 0)
    else:
        out += struct.pack(order + "HI", 42, 0)
    link = len(out) - (8 if big else 4)
    for array, layout in images:
        at, lengths = [], []
        for number, data in enumerate(segments(array, layout)):
            missing = layout.sparse and number % layout.sparse == 1
            at.append(0 if missing else len(out))
            lengths.append(0 if missing else len(data))
            if not missing:
                out += data
                out += b"\0" * (len(out) % 2)
        tags = tags_of(array, layout)
        offsets, counts = (324, 325) if layout.tile else (273, 279)
        tags[offsets], tags[counts] = (word, at), (word, lengths)
        tags.update({number: tag for number, tag in layout.tags.items() if number > 0})
        tags = {number: tag for number, tag in tags.items() if tag[1] is not None}
        entries = []
        for number in sorted(tags):
            kind, values = tags[number]
            count, data = value_bytes(kind, values, order)
            if len(data) > struct.calcsize(order + word):
                place = len(out)
                out += data + b"\0" * (len(data) % 2)
                data = struct.pack(order + word, place)
            entries.append((number, TYPES[kind], count, data.ljust(8 if big else 4, b"\0")))
        struct.pack_into(order + word, out, link, len(out))
        out += struct.pack(order + ("Q" if big else "H"), len(entries))
        for number, kind, count, data in entries:
            out += struct.pack(f"{order}HH{word}", number, kind, count) + data
        link = len(out)
        out += struct.pack(order + word, 0)
    path.write_bytes(out)
