"""What other software reads in an image: GDAL, Pillow, tifffile, OpenCV, imagecodecs, OpenEXR,
astropy and pydicom.

Each reader gives the pixels as `Variant`s: the same pixels in the forms that are
legitimate for its format, such as the index and the colours of a palette. An array is
always (rows, columns, bands).
"""

import logging
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

os.environ.setdefault("OPENCV_LOG_LEVEL", "WARNING")
os.environ.setdefault("CPL_LOG_ERRORS", "ON")

import cv2
import imagecodecs
import numpy as np
import OpenEXR
import pydicom
import pydicom.pixels
import rasterio
import tifffile
from astropy.io import fits
from PIL import Image
from rasterio.enums import MaskFlags

warnings.simplefilter("ignore")
cv2.setNumThreads(1)
Image.MAX_IMAGE_PIXELS = None

# What lies beside a file must not change what is read in it.
GDAL_OPTIONS = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_PAM_ENABLED": "NO",
    "GDAL_NUM_THREADS": "1",
}
# To find X.tif.msk and X.tif.ovr.
LOOKING_BESIDE = {"GDAL_DISABLE_READDIR_ON_OPEN": "FALSE"}
# The inverse of each EXIF orientation, for readers that apply it.
UPRIGHT_AGAIN: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, 1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a, -1),
}


class Unknown(Exception):
    """The reader does not know this kind of file, so it has no vote."""


@dataclass
class Variant:
    """Pixels in one form; `label` says how it differs from what is stored."""

    pixels: np.ndarray
    label: str = ""


@dataclass
class Seen:
    """What one reader sees."""

    variants: list[Variant] = field(default_factory=list)
    driver: str = ""


@dataclass
class Facts:
    """What the directory of a TIFF says, by tifffile; or that it is a GIF."""

    photometric: int | None = None
    bits: int | None = None
    bits_of_each: tuple[int, ...] = ()
    sample_format: int | None = None
    compression: int | None = None
    orientation: int = 1
    nodata: str | None = None
    pages: int = 1
    gif: bool = False

    @property
    def white_is_zero(self) -> bool:
        return self.photometric == 0


def banded(array: np.ndarray) -> np.ndarray:
    return array[:, :, np.newaxis] if array.ndim == 2 else array


def facts_of(path: Path) -> Facts:
    """Nothing, where it is no TIFF."""
    if head_of(path, 3) == b"GIF":
        return Facts(gif=True)
    try:
        with tifffile.TiffFile(path) as file:
            page = file.pages[0]
            tag = page.tags.get("GDAL_NODATA")
            return Facts(
                photometric=int(page.photometric),
                bits=page.bitspersample,
                sample_format=int(page.sampleformat),
                compression=int(page.compression),
                orientation=orientation_of(page),
                nodata=None if tag is None else str(tag.value).strip("\0 "),
                pages=len(file.pages),
            )
    except Exception:  # noqa: BLE001 - whatever it is, tifffile has nothing to say of it
        return Facts()


def orientation_of(page: tifffile.TiffPage) -> int:
    """1 where some writer stored it as no number."""
    value = page.tags.valueof("Orientation", 1)
    return int(value) if isinstance(value, int) else 1


def stretched(array: np.ndarray, bits: int | None) -> list[Variant]:
    """Gray of a few bits, as it is and from black to white."""
    variants = [Variant(array)]
    if bits and bits < 8 and array.dtype == np.uint8 and array.shape[2] == 1:
        if array.max(initial=0) < 1 << bits:
            variants.append(Variant(array * (255 // ((1 << bits) - 1)), "gray stretched to 8 bits"))
    return variants


def head_of(path: Path, count: int) -> bytes:
    with path.open("rb") as file:
        return file.read(count)


def of_one_bit(path: Path, array: np.ndarray) -> list[Variant]:
    """The samples, and those of a PNM whose greatest is 1 from black to white."""
    head = head_of(path, 2)
    if head[:1] == b"P" and head[1:].isdigit() and array.max(initial=0) <= 1:
        return [Variant(array), Variant(array * 255, "gray stretched to 8 bits")]
    return [Variant(array)]


# The masks of red, green and blue in a BMP of 32 bits.
USUAL_MASKS = b"\0\0\xff\0\0\xff\0\0\xff\0\0\0"


def must_know_masks(path: Path) -> None:
    """GDAL and OpenCV take them for the usual ones, so of others they have no vote."""
    head = head_of(path, 66)
    of_32_bits = head[:2] == b"BM" and head[28:34] == b"\x20\0\3\0\0\0"
    if of_32_bits and head[54:66] != USUAL_MASKS:
        raise Unknown("BMP with masks")


def must_know_opacity(path: Path) -> None:
    """None of them reads the opacity of a BMP of 16 bits, so of such they have no vote."""
    head = head_of(path, 70)
    of_16_bits = head[:2] == b"BM" and head[28:34] == b"\x10\0\3\0\0\0"
    if of_16_bits and head[14] >= 56 and any(head[66:70]):
        raise Unknown("BMP of 16 bits with opacity")


def must_know_few_bits(path: Path) -> None:
    """GDAL shifts the 5 bits of a colour in TGA up, so white is 248: of those it has no vote."""
    head = head_of(path, 18)
    mapped = len(head) == 18 and head[1] == 1 and head[2] in (1, 9) and head[7] in (15, 16)
    plain = len(head) == 18 and head[1] == 0 and head[2] in (2, 10) and head[16] in (15, 16)
    if mapped or plain:
        raise Unknown("TGA of 5 bits for each colour")


def coloured(index: np.ndarray, table: np.ndarray, label: str) -> Variant:
    """The colours of a palette; an index behind its end is black."""
    entries = np.zeros((max(int(index.max(initial=0)) + 1, len(table)), table.shape[1]), table.dtype)
    entries[: len(table)] = table
    return Variant(entries[index[:, :, 0]], label)


def by_gdal(path: Path) -> Seen:
    must_know_masks(path)
    must_know_opacity(path)
    # Otherwise ink is converted to RGB.
    name = f"GTIFF_RAW:{path}" if facts_of(path).photometric == 5 else path
    with rasterio.Env(**GDAL_OPTIONS), rasterio.open(name) as file:
        seen = seen_by_gdal(file)
    seen.variants += with_mask(path, seen)
    return seen


def with_mask(path: Path, seen: Seen) -> list[Variant]:
    """What the mask of a TIFF makes of each picture, in the file or beside it: opacity."""
    with rasterio.Env(**GDAL_OPTIONS | LOOKING_BESIDE), rasterio.open(path) as file:
        flags = {flag for band in file.mask_flag_enums for flag in band}
        # A band with a mask of its own has no flag.
        if file.driver != "GTiff" or flags - {MaskFlags.per_dataset}:
            return []
        valid = file.dataset_mask()[:, :, np.newaxis] != 0
    found = []
    for variant in seen.variants:
        pixels, bands = variant.pixels, min(variant.pixels.shape[2], 3)
        if pixels.dtype in (np.uint8, np.uint16) and bands != 2:
            opaque = valid * np.iinfo(pixels.dtype).max
            array = np.concatenate([pixels[:, :, :bands], opaque.astype(pixels.dtype)], axis=2)
            found.append(Variant(array, f"{variant.label} mask as opacity".strip()))
    return found


def seen_by_gdal(file: rasterio.DatasetReader) -> Seen:
    if file.count == 0:
        raise Unknown("no bands")
    if file.driver == "TGA":
        must_know_few_bits(Path(file.name))
    array = np.moveaxis(file.read(), 0, -1)
    bits = file.tags(1, ns="IMAGE_STRUCTURE").get("NBITS")
    variants = stretched(array, int(bits) if bits else None)
    if file.driver == "PNM":
        variants = of_one_bit(Path(file.name), array)
    try:
        table = file.colormap(1)
    except ValueError:
        table = None
    if table and array.dtype.kind == "u" and file.count == 1:
        colours = np.zeros((max(table) + 1, 4), np.uint8)
        for index, colour in table.items():
            colours[index] = colour
        # What is transparent by its nodata alone is not so in the table.
        variants.append(coloured(array, colours[:, :3], "palette as RGB"))
        variants.append(coloured(array, colours, "palette as RGBA"))
    return Seen(variants, file.driver)


def by_pillow(path: Path) -> Seen:
    must_know_opacity(path)
    with Image.open(path) as image:
        orientation = 1
        if image.format == "TIFF":
            orientation = image.getexif().get(274, 1)
        image.load()
        variants = [Variant(banded(np.asarray(image)))]
        has_opacity = "transparency" in image.info
        if image.mode == "1":
            array = variants[0].pixels.astype(np.uint8)
            variants = [Variant(array * 255, "gray stretched to 8 bits"), Variant(array)]
            if has_opacity:
                variants.append(gray_with_opacity(image))
        elif image.mode in ("P", "PA"):
            variants.append(Variant(np.asarray(image.convert("RGB")), "palette as RGB"))
            variants.append(Variant(np.asarray(image.convert("RGBA")), "palette as RGBA"))
        elif image.mode == "L" and has_opacity:
            variants.append(gray_with_opacity(image))
        elif image.mode == "RGB" and has_opacity:
            rgba = np.asarray(image.convert("RGBA"))
            variants.append(Variant(rgba, "transparent colour as opacity"))
        elif image.mode == "CMYK":
            variants.append(Variant(255 - variants[0].pixels, "ink inverted"))
        if image.format == "FITS" and not has_image(path):
            raise Unknown("reads the first bytes of a table as pixels")
        if image.format == "FITS":
            variants += [Variant(v.pixels[::-1], "rows from below") for v in variants]
        if variants[0].pixels.dtype == object:
            raise Unknown(f"mode {image.mode}")
        if orientation in UPRIGHT_AGAIN:
            turn = UPRIGHT_AGAIN[orientation]
            variants += [Variant(turn(v.pixels), f"{v.label} not turned".strip()) for v in variants]
        return Seen(variants, image.format or "")


def gray_with_opacity(image: Image.Image) -> Variant:
    rgba = np.asarray(image.convert("RGBA"))
    return Variant(rgba[:, :, [0, 3]], "transparent gray as opacity")


def by_tifffile(path: Path) -> Seen:
    if head_of(path, 2) not in (b"II", b"MM", b"EP"):
        raise Unknown("no TIFF")
    with tifffile.TiffFile(path) as file:
        return seen_by_tifffile(file.pages[0])


def seen_by_tifffile(page: tifffile.TiffPage) -> Seen:
    array = page.asarray(maxworkers=1)
    axes = page.axes
    if axes == "SYX":
        array = np.moveaxis(array, 0, -1)
    elif axes not in ("YX", "YXS"):
        raise Unknown(f"axes {axes}")
    array = banded(array)
    if array.dtype == bool:
        array = array.astype(np.uint8)
    variants = stretched(array, page.bitspersample)
    if page.photometric == tifffile.PHOTOMETRIC.PALETTE and page.colormap is not None:
        # By tradition the high byte; some writers left it empty.
        table = page.colormap.T
        table = (table >> 8 if table.max(initial=0) > 255 else table).astype(np.uint8)
        if array.shape[2] == 1:
            variants.append(coloured(array, table, "palette as RGB"))
    return Seen(variants, "TIFF")


def by_opencv(path: Path) -> Seen:
    must_know_masks(path)
    must_know_opacity(path)
    if facts_of(path).photometric == 5:
        raise Unknown("converts ink to RGB")
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if image is None:
        if cv2.haveImageReader(str(path)):
            raise ValueError("imread returns nothing")
        raise Unknown("no reader")
    array = banded(image)
    variants = []
    if array.shape[2] in (3, 4):
        if head_of(path, 2) == b"P7":
            # Of a PAM the bands stay in the order of the file.
            variants.append(Variant(array))
        array = array[:, :, [2, 1, 0, *range(3, array.shape[2])]]
    variants = [*of_one_bit(path, array), *variants]
    if array.shape[2] in (3, 4) and np.array_equal(array[..., 0], array[..., 1]):
        if np.array_equal(array[..., 0], array[..., 2]):
            variants.append(Variant(array[:, :, [0, *range(3, array.shape[2])]], "gray as RGB"))
    orientation = facts_of(path).orientation
    if orientation in UPRIGHT_AGAIN:
        turn = UPRIGHT_AGAIN[orientation]
        variants += [Variant(turn(v.pixels), f"{v.label} not turned".strip()) for v in variants]
    return Seen(variants, "cv2")


def jpeg_process(data: bytes) -> int:
    """The marker of the frame: 0xC3 for lossless JPEG, 0xF7 for JPEG-LS."""
    at = 2
    while at + 4 <= len(data):
        if data[at] != 0xFF or data[at + 1] in (0xFF, 0):
            at += 1
            continue
        marker = data[at + 1]
        if marker == 0xF7 or (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)):
            return marker
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return 0


def by_imagecodecs(path: Path) -> Seen:
    """For what the others seldom know, by its first bytes."""
    data = path.read_bytes()
    head = data[:16]
    process = jpeg_process(data) if head[:3] == b"\xff\xd8\xff" else 0
    if process == 0xF7:
        array = imagecodecs.jpegls_decode(data)
    elif process == 0xC3:
        array = imagecodecs.jpegsof3_decode(data)
    elif head[:2] == b"\xff\x0a" or head[4:12] == b"JXL \x0d\x0a\x87\x0a":
        array = imagecodecs.jpegxl_decode(data)
        if array.dtype == np.uint8 and array.ndim == 2:
            # Of fewer bits than 8 only their number says from where to where they go.
            bits = int(array.max(initial=0)).bit_length()
            few = bits if bits in (1, 4) else None
            return Seen(stretched(banded(array), few), "imagecodecs")
    elif process:
        array = imagecodecs.jpeg_decode(data)
    elif head[:4] == b"\xff\x4f\xff\x51" or head[4:8] == b"jP  ":
        array = imagecodecs.jpeg2k_decode(data)
    elif head[:8] == b"\x89PNG\r\n\x1a\n":
        array = imagecodecs.png_decode(data)
    elif head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        array = imagecodecs.webp_decode(data)
    elif head[:4] == b"qoif":
        array = imagecodecs.qoi_decode(data)
    else:
        raise Unknown("no codec")
    if array.ndim not in (2, 3):
        raise Unknown(f"{array.ndim} axes")
    return Seen([Variant(banded(array))], "imagecodecs")


def by_openexr(path: Path) -> Seen:
    """The bands in the order RGBA, or else gray first; others by name."""
    if head_of(path, 4) != b"\x76\x2f\x31\x01":
        raise Unknown("no EXR")
    with OpenEXR.File(str(path), separate_channels=True) as file:
        channels = {name: channel.pixels for name, channel in file.channels().items()}
    order = [name for name in ("R", "G", "B", "Y", "A") if name in channels]
    order += sorted(name for name in channels if name not in order)
    shapes = {channels[name].shape for name in order}
    if len(shapes) > 1:
        raise Unknown("bands of several sizes")
    variants = [Variant(np.dstack([channels[name] for name in order]))]
    if order != sorted(order):
        by_name = np.dstack([channels[name] for name in sorted(order)])
        variants.append(Variant(by_name, "bands by name"))
    return Seen(variants, "EXR")


def has_image(path: Path) -> bool:
    """Whether a FITS has one at all; a table with a compressed image counts."""
    try:
        with fits.open(path, memmap=False) as units:
            return any(unit.is_image and len(unit.shape) >= 2 for unit in units)
    except Exception:  # noqa: BLE001 - astropy has nothing to say of it
        return True


def by_astropy(path: Path) -> Seen:
    """The first image, its planes as bands; also with the last row above, as it is shown."""
    if head_of(path, 9) != b"SIMPLE  =":
        raise Unknown("no FITS")
    with fits.open(path, memmap=False) as units:
        number = next((n for n, unit in enumerate(units) if unit.is_image and len(unit.shape) >= 2), None)
        if number is None:
            raise Unknown("no image")
        header = units[number].header
        arrays = [units[number].data]
    if "BLANK" in header and header["BITPIX"] > 0 and (header.get("BSCALE", 1), header.get("BZERO", 0)) == (1, 0):
        # Whole numbers with BLANK become floats there.
        arrays.append(fits.getdata(path, number, do_not_scale_image_data=True))
    variants = []
    for array in arrays:
        array = np.moveaxis(array.reshape(-1, *array.shape[-2:]), 0, -1)
        array = array.astype(array.dtype.newbyteorder("="))
        variants += [Variant(array), Variant(array[::-1], "rows from below")]
    return Seen(variants, "FITS")


def by_pydicom(path: Path, frame: int = 1) -> Seen:
    if head_of(path, 132)[128:] != b"DICM":
        raise Unknown("no DICOM")
    dataset = pydicom.dcmread(path)
    array = banded(pydicom.pixels.pixel_array(dataset, index=frame - 1))
    array = array.astype(array.dtype.newbyteorder("="))
    variants = stretched(array, dataset.get("BitsStored"))
    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        colours = pydicom.pixels.apply_color_lut(array[:, :, 0], dataset)
        # Of a big-endian file the type is not the machine's own.
        colours = (colours >> 8 if colours.dtype.itemsize == 2 else colours).astype(np.uint8)
        variants.append(Variant(colours, "palette as RGB"))
    return Seen(variants, "DICOM")


READERS: dict[str, Callable[[Path], Seen]] = {
    "GDAL": by_gdal,
    "Pillow": by_pillow,
    "tifffile": by_tifffile,
    "OpenCV": by_opencv,
    "imagecodecs": by_imagecodecs,
    "OpenEXR": by_openexr,
    "astropy": by_astropy,
    "pydicom": by_pydicom,
}

# How a reader says that it does not know the format at all.
NO_VOTE = (
    "not recognized as being in a supported file format",
    "cannot identify image file",
    "not recognized as a supported file format",
)


def has_no_vote(error: Exception) -> bool:
    told = str(error)
    return isinstance(error, Unknown) or any(text in told for text in NO_VOTE)


def quiet() -> None:
    """tifffile and rasterio tell on standard error, where complaints are looked for."""
    logging.basicConfig(level=logging.WARNING, format="%(name)s: %(message)s")
