"""What GDAL says of an image beside its pixels, in the image and in its X.tif."""

import math
from pathlib import Path

import numpy as np
import rasterio

from outcome import Finding, Kind
from readers import GDAL_OPTIONS, LOOKING_BESIDE

# Formats that keep such things. Of others GDAL says what it makes up.
DRIVERS = ("GTiff", "JP2OpenJPEG")


def compare(source: Path, tif: Path) -> list[Finding]:
    """What X.tif says differently."""
    try:
        with rasterio.Env(**GDAL_OPTIONS), rasterio.open(source) as theirs:
            if theirs.driver not in DRIVERS or theirs.count == 0:
                return []
            with rasterio.open(tif) as ours:
                return differences(theirs, ours) + masks(source, theirs, ours)
    except rasterio.errors.RasterioError:
        # Whoever can't read it has said so before.
        return []


def differences(
    theirs: rasterio.DatasetReader, ours: rasterio.DatasetReader
) -> list[Finding]:
    found = []
    of_both = zip(told(theirs).items(), told(ours).values(), strict=True)
    for (name, expected), actual in of_both:
        if not alike(expected, actual):
            text = f"{name}: {short(actual)} instead of {short(expected)}"
            found.append(Finding(Kind.METADATA, "tif", text))
    return found


def told(file: rasterio.DatasetReader) -> dict[str, object]:
    points, crs = file.gcps
    palette = None
    # Where white is zero GDAL makes one up, and of one bit too: black and white.
    is_made_up = file.tags(1, ns="IMAGE_STRUCTURE").get("NBITS") == "1"
    if file.count == 1 and not is_made_up and "MINISWHITE" not in file.tags(ns="IMAGE_STRUCTURE"):
        try:
            palette = file.colormap(1)
        except ValueError:
            palette = None
    return {
        "nodata": file.nodata,
        "CRS": None if file.crs is None else file.crs.to_wkt(),
        "transform": tuple(file.transform)[:6],
        "GCPs": [(p.row, p.col, p.x, p.y, p.z) for p in points],
        "CRS of GCPs": None if crs is None else crs.to_wkt(),
        "RPCs": None if file.rpcs is None else file.rpcs.to_gdal(),
        "scales": file.scales,
        "offsets": file.offsets,
        "units": file.units,
        "descriptions": file.descriptions,
        "colour table": palette,
    }


def alike(one: object, other: object) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return one == other or (math.isnan(one) and math.isnan(other)) or math.isclose(
            one, other, rel_tol=1e-12
        )
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(alike, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(alike(one[k], other[k]) for k in one)
    return one == other or (not one and not other)


def short(value: object) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= 100 else text[:97] + "..."


def masks(
    source: Path, theirs: rasterio.DatasetReader, ours: rasterio.DatasetReader
) -> list[Finding]:
    """Which pixels are valid, by a mask in the image or beside it."""
    actual = ours.read_masks()
    expected = theirs.read_masks()
    if theirs.driver == "GTiff":
        # A mask in X.tif.msk is the image's as well.
        with rasterio.Env(**LOOKING_BESIDE), rasterio.open(source) as with_beside:
            expected = with_beside.read_masks()
    if actual.shape != expected.shape or np.array_equal(actual, expected):
        return []
    wrong = int((actual != expected).sum())
    kind = Kind.WRONG if ours.nodata is not None else Kind.METADATA
    text = f"mask: {wrong} of {actual.size} samples are valid in one and not in the other"
    return [Finding(kind, "tif", text)]
