"""One image: its siblings against what other software reads in it.

`examine` runs in a process of its own, which the parent ends if a step takes too long.
Before each step it says which one comes, so that the parent knows what to leave out
when it sends the image to the next process.
"""

import errno
import io
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import imagecodecs
import numpy as np
import tifffile
from PIL import Image

import metadata
import pages
from compare import FEWER_BANDS, Relation, largest_camp, relate, spread
from outcome import Finding, Kind
from readers import READERS, Facts, Seen, Variant, banded, by_gdal, facts_of, has_no_vote
from readers import jpeg_process, seen_by_tifffile

# What a reader says on standard error of a file that it reads all the same.
COMPLAINTS = (
    *("premature", "corrupt", "truncat", "damag", "broken", "invalid", "not enough"),
    *("extraneous", "out of order", "too short", "unexpected", "incorrect", "failed"),
    *("error", "missing", "bogus", "garbage", "bad "),
)


# Of JPEG, and of CCITT.
KEPT_BACK = ("Corrupt JPEG data", "Fax3Decode", "Fax4Decode")


@dataclass
class Read:
    """What became of the readers."""

    seen: dict[str, Seen] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    no_vote: dict[str, str] = field(default_factory=dict)
    complaints: dict[str, str] = field(default_factory=dict)


@dataclass
class Sibling:
    """One form of the pixels of a sibling."""

    name: str
    by: str
    seen: Seen


@contextmanager
def told_on_stderr() -> Iterator[list[str]]:
    """What libraries in C and Python print there meanwhile."""
    lines: list[str] = []
    with tempfile.TemporaryFile() as file:
        saved = os.dup(2)
        os.dup2(file.fileno(), 2)
        try:
            yield lines
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            file.seek(0)
            lines += file.read().decode(errors="replace").splitlines()


def one_line(text: object) -> str:
    return " ".join(str(text).split())[:300]


def read_by_all(path: Path, skip: dict[str, str], step: Callable[[str], None]) -> Read:
    read = Read()
    for name, reader in READERS.items():
        if name in skip:
            read.refused[name] = skip[name]
            continue
        step(name)
        with told_on_stderr() as lines:
            try:
                seen = reader(path)
                if any(v.pixels.size == 0 for v in seen.variants):
                    raise ValueError("an image without pixels")
            except Exception as error:  # noqa: BLE001 - foreign code: anything may come
                told = one_line(f"{type(error).__name__}: {error}")
                (read.no_vote if has_no_vote(error) else read.refused)[name] = told
                continue
        read.seen[name] = seen
        worried = [line for line in lines if is_a_complaint(line.lower())]
        if worried:
            read.complaints[name] = one_line(worried[0])
    return read


def is_a_complaint(line: str) -> bool:
    # That a directory is out of order or has unknown tags says nothing of the pixels.
    beside = "tiffreaddirectory" in line or "gdal_nodata" in line
    return not beside and any(word in line for word in COMPLAINTS)


def fetch(path: Path) -> bytes | str:
    """The bytes of a file in the mount, or the name of the error."""
    try:
        return path.read_bytes()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error.errno))


def npy_seen(data: bytes) -> Seen:
    array = np.load(io.BytesIO(data), allow_pickle=False)
    if array.ndim == 4 and array.shape[3] == 2:
        array = array.reshape(*array.shape[:2], -1)
    if array.ndim not in (2, 3):
        raise ValueError(f"shape {array.shape}")
    return Seen([Variant(banded(array))])


def png_seen(data: bytes) -> Seen:
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        size = image.size
    array = banded(imagecodecs.png_decode(data))
    if (array.shape[1], array.shape[0]) != size:
        raise ValueError(f"Pillow reads {size} pixels")
    return Seen([Variant(array)])


def examine(
    source: Path, mounted: Path, skip: dict[str, str], step: Callable[[str], None]
) -> list[Finding]:
    """All that there is to say of an image; `mounted` is its path in the mount."""
    step("X.json")
    told = fetch(mounted.with_name(mounted.name + ".json"))
    read = read_by_all(source, skip, step)
    facts = facts_of(source)
    if isinstance(told, str):
        return [without_json(told, read)]
    try:
        facts_of_ours = json.loads(told)
        views = facts_of_ours["views"]
    except (ValueError, KeyError, TypeError) as error:
        return [Finding(Kind.BROKEN, "json", one_line(f"{error!r}"))]
    findings: list[Finding] = []
    if facts_of_ours.get("warnings"):
        findings.append(Finding(Kind.NOTE, "json", f"warns: {facts_of_ours['warnings']}"))
    with told_on_stderr():
        lossless = is_lossless(source, facts)
    clean: Seen | None = None
    judged: list[tuple[Seen, Finding]] = []
    for name in ("npy", "png", "tif"):
        if name in skip:
            findings.append(Finding(Kind.STUCK, name, skip[name]))
            continue
        reason = views.get(name)
        if reason is not True:
            findings.append(refused(name, reason, read))
            continue
        step(name)
        for sibling in opened(mounted, name, read, findings):
            step(f"{name} compared")
            findings.append(judged_once(sibling, read, facts, lossless, judged))
            clean = clean or sibling.seen
            if sibling.by == "GDAL":
                step(f"{name} metadata")
                place = mounted.with_name(mounted.name + ".tif")
                with told_on_stderr():
                    findings += metadata.compare(source, place)
    if "preview.png" in skip:
        findings.append(Finding(Kind.STUCK, "preview.png", skip["preview.png"]))
    elif views.get("preview.png") is True:
        step("preview.png")
        findings += preview(mounted, read, clean, facts_of_ours)
    if pages.count(facts_of_ours) > 1:
        for page in sorted({2, pages.count(facts_of_ours)}):
            name = f"page-{page}"
            if name in skip:
                findings.append(Finding(Kind.STUCK, name, skip[name]))
                continue
            findings += of_page(source, mounted, page, lossless, skip, step)
    return findings


def of_page(
    source: Path,
    mounted: Path,
    page: int,
    lossless: bool,
    skip: dict[str, str],
    step: Callable[[str], None],
) -> list[Finding]:
    """The pixels of another page than the first."""
    name = f"page-{page}.npy"
    read = Read()
    with told_on_stderr():
        for reader, way in pages.READERS.items():
            reading = f"page-{page} by {reader}"
            if reading in skip:
                read.refused[reader] = skip[reading]
                continue
            step(reading)
            try:
                read.seen[reader] = way(source, page)
            except Exception as error:  # noqa: BLE001 - foreign code: anything may come
                if not has_no_vote(error):
                    read.refused[reader] = one_line(f"{type(error).__name__}: {error}")
        step(f"page-{page}")
        facts = pages.facts_of(source, page)
        data = fetch(mounted.with_name(f"{mounted.name}.{name}"))
        if data == "ENOENT":
            return [Finding(Kind.REFUSED, name, "a page that has no npy")]
        if isinstance(data, str):
            return [failed(name, data, read)]
        try:
            seen = npy_seen(data)
        except ValueError as error:
            return [Finding(Kind.BROKEN, name, one_line(error))]
        return [judge(Sibling(name, "numpy", seen), read, facts, lossless)]


def opened(mounted: Path, name: str, read: Read, findings: list[Finding]) -> Iterator[Sibling]:
    place = mounted.with_name(f"{mounted.name}.{name}")
    data = fetch(place)
    if isinstance(data, str):
        findings.append(failed(name, data, read))
        return
    ways: dict[str, Callable[[], Seen]] = {
        "npy": {"numpy": lambda: npy_seen(data)},
        "png": {"imagecodecs": lambda: png_seen(data)},
        "tif": {"tifffile": lambda: tif_seen(data), "GDAL": lambda: by_gdal(place)},
    }[name]
    for by, way in ways.items():
        try:
            with told_on_stderr():
                seen = way()
            yield Sibling(name, by, seen)
        except Exception as error:  # noqa: BLE001 - whatever it says, the sibling is wrong
            text = one_line(f"{by} can't read it: {type(error).__name__}: {error}")
            findings.append(Finding(Kind.BROKEN, name, text))


def tif_seen(data: bytes) -> Seen:
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page = file.pages[0]
        seen = seen_by_tifffile(page)
        if int(page.photometric) == 0 and page.dtype is not None and page.dtype.kind == "u":
            top = (1 << page.bitspersample) - 1
            stored = seen.variants[0].pixels
            seen.variants.append(Variant((top - stored).astype(stored.dtype), "stored inverted"))
        return seen


def without_json(error: str, read: Read) -> Finding:
    if error == "ENOENT":
        if read.seen:
            who = ", ".join(f"{n} ({s.driver})" for n, s in read.seen.items())
            return Finding(Kind.NONE, "json", f"no siblings; {who} read it")
        return Finding(Kind.NOTHING, "json", "no image, to anybody")
    if error == "EFBIG":
        return Finding(Kind.REFUSED, "json", "EFBIG: over a limit")
    return failed("json", error, read)


def is_a_minority(read: Read) -> bool:
    """Whether as many refuse the image as read it without complaint."""
    clean = [name for name in read.seen if name not in read.complaints]
    return len(clean) <= len(read.refused)


def failed(name: str, error: str, read: Read) -> Finding:
    if not read.seen:
        return Finding(Kind.ALL_REFUSE, name, f"{error}; nobody else reads it either", who(read))
    clean = [reader for reader in read.seen if reader not in read.complaints]
    # These keep what libjpeg and libtiff warn of to themselves, or never look; others pass it on.
    if any(told_by in str(told) for told in read.complaints.values() for told_by in KEPT_BACK):
        clean = [reader for reader in clean if reader not in ("Pillow", "imagecodecs", "tifffile")]
    if not clean:
        return Finding(Kind.DAMAGED, name, f"{error}; others read it and complain", who(read))
    if is_a_minority(read):
        return Finding(Kind.DAMAGED, name, f"{error}; others are not of one mind", who(read))
    camp = largest_camp({n: read.seen[n] for n in clean})
    if len(clean) > 1 and len(camp) < 2:
        return Finding(Kind.DAMAGED, name, f"{error}; others read different pixels", who(read))
    return Finding(Kind.EIO, name, f"{error} where others read", who(read))


def refused(name: str, reason: object, read: Read) -> Finding:
    if not isinstance(reason, str) or not reason:
        return Finding(Kind.BROKEN, name, f"neither there nor a reason why not: {reason!r}")
    kind = Kind.REFUSED if read.seen else Kind.ALL_REFUSE
    return Finding(kind, name, one_line(reason))


def who(read: Read) -> list[str]:
    lines = []
    for name, seen in read.seen.items():
        shape = seen.variants[0].pixels
        rows, columns, bands = shape.shape
        line = f"{name} reads {columns}x{rows}x{bands} {shape.dtype}"
        if name in read.complaints:
            line += f", and says: {read.complaints[name]}"
        lines.append(line)
    lines += [f"{name} refuses: {why}" for name, why in read.refused.items()]
    return lines


def judged_once(
    sibling: Sibling,
    read: Read,
    facts: Facts,
    lossless: bool,
    judged: list[tuple[Seen, Finding]],
) -> Finding:
    """Siblings with the same pixels get the same verdict."""
    for seen, finding in judged:
        same = len(seen.variants) == len(sibling.seen.variants) == 1
        pixels, others = sibling.seen.variants[0].pixels, seen.variants[0].pixels
        if same and pixels.dtype == others.dtype and np.array_equal(pixels, others):
            return replace(finding, sibling=sibling.name)
    finding = judge(sibling, read, facts, lossless)
    judged.append((sibling.seen, finding))
    return finding


def judge(sibling: Sibling, read: Read, facts: Facts, lossless: bool) -> Finding:
    """The vote on the pixels of a sibling."""
    name = sibling.name
    relations: dict[str, Relation | None] = {}
    for reader, theirs in read.seen.items():
        found = [relate(v.pixels, theirs, facts, name) for v in sibling.seen.variants]
        known = [f for f in found if f is not None]
        relations[reader] = min(known, key=lambda f: (f.largest, f.mean), default=None)
    said = [
        f"{reader}: {found.told() if found else 'another shape: ' + shape_of(read.seen[reader])}"
        + (f"; it says: {read.complaints[reader]}" if reader in read.complaints else "")
        for reader, found in relations.items()
    ]
    said += [f"{reader} refuses: {why}" for reader, why in read.refused.items()]
    kind, text = vote(relations, read, lossless)
    return Finding(kind, name, text, said, shape_of(sibling.seen))


def vote(relations: dict[str, Relation | None], read: Read, lossless: bool) -> tuple[Kind, str]:
    """What the readers say together."""
    if not relations:
        return Kind.UNDECIDED, "nobody else reads it"
    same = {reader: found for reader, found in relations.items() if found and found.exact}
    agree = {reader: found for reader, found in same.items() if not found.in_part}
    others = {reader: read.seen[reader] for reader in relations if reader not in same}
    if agree:
        camp = largest_camp(others) if len(others) > len(agree) and lossless else []
        if len(camp) > len(agree):
            return Kind.WRONG, f"a majority differs: {', '.join(camp)}"
        labels = min((found.labels for found in agree.values()), key=len)
        note = f" ({', '.join(labels)})" if labels else ""
        return Kind.EXACT, "exact" + (f", {', '.join(others)} differ" if others else "") + note
    if same and not others:
        many = sum(any(b in found.labels for b in FEWER_BANDS) for found in same.values()) > 1
        kind = Kind.WRONG if many else Kind.UNDECIDED
        return kind, "more than anybody else sees"
    known = [
        found
        for reader, found in relations.items()
        if found is not None and reader in others
    ]
    if not known:
        camp = largest_camp(others)
        kind = Kind.WRONG if len(camp) > 1 or len(others) == 1 else Kind.UNDECIDED
        return kind, "another shape than all readers"
    nearest = min(known, key=lambda found: (found.mean, found.largest))
    if not lossless:
        # Decoders round, and interpolate chroma, in their own ways.
        apart, on_average = spread(read.seen) if nearest.largest > 8 else (0.0, 0.0)
        few = nearest.mean <= max(1.5, on_average) and nearest.largest <= max(96, apart)
        if nearest.largest <= 8 or few:
            return Kind.LOSSY, f"within {nearest.largest:.6g}"
        return Kind.WRONG, f"{nearest.largest:.6g} off the nearest reader"
    camp = largest_camp(others)
    if len(others) > 1 and len(camp) < 2:
        return Kind.UNDECIDED, "each reader reads something else"
    if len(camp) == 1 and read.refused:
        return Kind.UNDECIDED, f"not what {camp[0]} reads, which others refuse"
    return Kind.WRONG, f"not what {', '.join(camp)} read"


def shape_of(seen: Seen) -> str:
    rows, columns, bands = seen.variants[0].pixels.shape
    return f"{columns}x{rows}x{bands} {seen.variants[0].pixels.dtype}"


# Compressions of TIFF whose decoders may round: JPEG old and new, JPEG 2000, WebP, JPEG XL.
LOSSY_COMPRESSIONS = {6, 7, 33003, 33004, 33005, 33007, 34712, 34892, 50001, 50002, 52546, 34676, 34677}


# Transfer syntaxes of DICOM: JPEG, nearly lossless JPEG-LS, JPEG 2000 that may be either.
LOSSY_SYNTAXES = tuple(f"1.2.840.10008.1.2.4.{n}".encode() for n in (50, 51, 81, 91))


# PXR24, B44, B44A, DWAA, DWAB.
LOSSY_EXR = (5, 6, 7, 8, 9)


def is_lossless(path: Path, facts: Facts) -> bool:
    """Whether each decoder must give the same pixels."""
    if facts.compression is not None:
        # YCbCr is converted to RGB, and CIELab too.
        return facts.compression not in LOSSY_COMPRESSIONS and facts.photometric not in (6, 8, 9, 10)
    with path.open("rb") as file:
        data = file.read(1 << 20)
    if data[128:132] == b"DICM":
        return not any(syntax in data[:2048] for syntax in LOSSY_SYNTAXES)
    if data[:3] == b"\xff\xd8\xff":
        return jpeg_process(data) in (0xC3, 0xF7)
    if data[:4] == b"RIFF":
        return b"VP8L" in data[:65536] and b"VP8 " not in data[:65536]
    if data[:4] == b"\xff\x4f\xff\x51" or data[4:8] == b"jP  ":
        at = data.find(b"\xff\x52")
        # The last byte of SPcod: 1 is the reversible transform.
        return at >= 0 and len(data) > at + 13 and data[at + 13] == 1
    if data[:4] == b"\x76\x2f\x31\x01":
        at = data.find(b"compression\0compression\0")
        return at < 0 or data[at + 28] not in LOSSY_EXR
    return not (data[:2] == b"\xff\x0a" or data[4:8] == b"JXL " or data[:2] == b"#?")


def preview(mounted: Path, read: Read, clean: Seen | None, ours: dict) -> list[Finding]:
    data = fetch(mounted.with_name(mounted.name + ".preview.png"))
    if isinstance(data, str):
        return [failed("preview.png", data, read)]
    try:
        with Image.open(io.BytesIO(data)) as image:
            shown = np.asarray(image.convert("RGB"))
    except Exception as error:  # noqa: BLE001 - whatever it says, the sibling is wrong
        return [Finding(Kind.BROKEN, "preview.png", one_line(error))]
    pixels = clean.variants[0].pixels if clean else None
    if pixels is None and read.seen:
        pixels = next(iter(read.seen.values())).variants[0].pixels
    if pixels is None or (shown != shown[0, 0]).any():
        return []
    bands = pixels[..., : 3 if pixels.shape[2] >= 3 else 1]
    values = np.abs(bands) if bands.dtype.kind == "c" else bands
    if ours.get("color") in ("gray+alpha", "rgba") and pixels.shape[2] in (2, 4):
        # What is transparent is not shown.
        values = values[pixels[..., -1] > 0][np.newaxis]
    levels = max(distinct(values[..., k], ours.get("nodata")) for k in range(values.shape[2]))
    if levels < 2:
        return []
    text = f"one flat colour {tuple(int(v) for v in shown[0, 0])}, from {levels} values"
    return [Finding(Kind.PREVIEW, "preview.png", text)]


def distinct(band: np.ndarray, nodata: object) -> int:
    """How many values there are that a preview shows."""
    known = band[np.isfinite(band)] if band.dtype.kind == "f" else band.ravel()
    if isinstance(nodata, (int, float)):
        known = known[known != nodata]
    return np.unique(known).size
