"""FITS and DICOM, by astropy and pydicom; and the files that pydicom brings along."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
from astropy.io import fits
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless

from make_tiff import array_of

Recipe = tuple[str, Callable[[Path], None]]

SIZE = (50, 67)


def recipes() -> list[Recipe]:
    return [*fitses(), *dicoms(), *brought_along()]


def numbers(name: str, kind: str, *before: int) -> np.ndarray:
    bands = int(np.prod(before)) if before else 1
    array = array_of(name, kind, (*SIZE, bands))
    return np.moveaxis(array, 2, 0).reshape(*before, *SIZE)


def writing(units: list, **cards: float) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        fits.HDUList(units).writeto(path)
        if cards:
            with fits.open(path, "update", do_not_scale_image_data=True) as file:
                file[0].header.update(cards)

    return make


def fitses() -> list[Recipe]:
    found: list[Recipe] = []
    for kind in ("u8", "i8", "u16", "i16", "u32", "i32", "u64", "i64", "f32", "f64"):
        for label, before in (("plane", ()), ("cube", (3,)), ("four-axes", (2, 3)), ("deep", (1, 1))):
            array = numbers(f"fits{kind}{label}", kind, *before)
            found.append((f"fits/{kind}-{label}.fits", writing([fits.PrimaryHDU(array)])))
    for kind in ("u8", "i16", "i32", "i64", "f32", "f64"):
        array = numbers(f"scaled{kind}", kind)
        more = {} if kind[0] == "f" else {"BLANK": int(array[7, 9])}
        scaled = {"BSCALE": 0.37, "BZERO": -3.5, **more}
        found.append((f"fits/scaled-{kind}.fits", writing([fits.PrimaryHDU(array)], **scaled)))
        if more:
            found.append((f"fits/blank-{kind}.fits", writing([fits.PrimaryHDU(array)], **more)))
    table = fits.BinTableHDU.from_columns([fits.Column("x", "E", array=np.arange(900.0))])
    image = fits.ImageHDU(numbers("extension", "f32"))
    found.append(("fits/extension.fits", writing([fits.PrimaryHDU(), table, image, table])))
    found.append(("fits/table-alone.fits", writing([fits.PrimaryHDU(), table])))
    for kind in ("u8", "i16", "u16", "i32", "f32", "f64"):
        for way in ("RICE_1", "GZIP_1", "GZIP_2", "HCOMPRESS_1", "PLIO_1"):
            if (way == "PLIO_1" and kind != "u8") or (way == "HCOMPRESS_1" and kind[0] == "f"):
                continue
            array = numbers(f"packed{kind}", kind)
            options = {"quantize_level": 0} if kind[0] == "f" else {}
            if kind[0] == "f" and way == "RICE_1":
                options = {"quantize_level": 16}
                array = np.cumsum(np.cumsum(np.abs(np.nan_to_num(array)) % 7, 0), 1).astype(array.dtype)
            unit = fits.CompImageHDU(array, compression_type=way, tile_shape=(13, 20), **options)
            found.append((f"fits/packed-{kind}-{way.lower()}.fits", writing([fits.PrimaryHDU(), unit])))
    whole = fits.PrimaryHDU(numbers("cut", "i16"))

    def cut(path: Path) -> None:
        whole.writeto(path)
        path.write_bytes(path.read_bytes()[:-2881])

    return [*found, ("fits/odd-cut.fits", cut)]


def dataset(array: np.ndarray, syntax: str, photometric: str, stored: int) -> FileDataset:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = syntax
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    meta.MediaStorageSOPInstanceUID = "1.2.3"
    found = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    found.SOPClassUID, found.SOPInstanceUID = meta.MediaStorageSOPClassUID, "1.2.3"
    found.SamplesPerPixel = array.shape[2]
    found.PhotometricInterpretation = photometric
    found.Rows, found.Columns = array.shape[:2]
    found.BitsAllocated, found.BitsStored = array.dtype.itemsize * 8, stored
    found.HighBit, found.PixelRepresentation = stored - 1, int(array.dtype.kind == "i")
    if array.shape[2] > 1:
        found.PlanarConfiguration = 0
    big = array.astype(array.dtype.newbyteorder(">" if syntax == ExplicitVRBigEndian else "<"))
    data = big.tobytes()
    found.PixelData = data + bytes(len(data) % 2)
    found["PixelData"].VR = "OB" if stored <= 8 else "OW"
    return found


def dicoms() -> list[Recipe]:
    found: list[Recipe] = []
    syntaxes = {"explicit": ExplicitVRLittleEndian, "implicit": ImplicitVRLittleEndian, "big": ExplicitVRBigEndian, "rle": RLELossless}
    for label, syntax in syntaxes.items():
        for kind, stored in (("u8", 8), ("u16", 16), ("u16", 12), ("i16", 16), ("i16", 12), ("u32", 32)):
            for photometric in ("MONOCHROME1", "MONOCHROME2", "RGB", "YBR_FULL"):
                bands = 1 if photometric.startswith("MONO") else 3
                if (label, kind) == ("rle", "u32") or (bands == 3 and kind[0] == "i") or (photometric == "YBR_FULL" and kind != "u8"):
                    continue
                array = array_of(f"dicom{kind}{bands}", kind, (*SIZE, bands))
                plain = dataset(array, ExplicitVRLittleEndian if label == "rle" else syntax, photometric, stored)

                def make(path: Path, plain: FileDataset = plain, packed: bool = label == "rle") -> None:
                    copy = plain.copy()
                    if packed:
                        copy.compress(RLELossless)
                    implicit = copy.file_meta.TransferSyntaxUID == ImplicitVRLittleEndian
                    big = copy.file_meta.TransferSyntaxUID == ExplicitVRBigEndian
                    pydicom.dcmwrite(
                        path, copy, implicit_vr=implicit, little_endian=not big, enforce_file_format=True
                    )

                found.append((f"dicom/{label}-{kind}-{stored}-{photometric.lower()}.dcm", make))
    return found


def brought_along() -> list[Recipe]:
    folder = Path(pydicom.__file__).parent / "data" / "test_files"
    files = sorted(path for path in folder.glob("*.dcm") if path.stat().st_size < 1 << 20)
    return [(f"dicom/pydicom-{path.name}", lambda to, path=path: shutil.copy(path, to)) for path in files]
