"""Whether the harness notices what it is there for: votes on pixels that are right and wrong."""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from examine import Sibling, fetch, judge, read_by_all
from outcome import Kind
from raw_tiff import Layout, write
from readers import Seen, Variant, banded, facts_of


def main() -> int:
    faults = []
    with tempfile.TemporaryDirectory(prefix="s3mem-images-") as folder:
        for name, (kind, expected) in cases(Path(folder)).items():
            if kind != expected:
                faults.append(f"{name}: {kind.name} instead of {expected.name}")
    print("\n".join(faults) or "every verdict is as it should be")
    return int(bool(faults))


def cases(folder: Path) -> dict[str, tuple[Kind, Kind]]:
    rng = np.random.default_rng(1)
    gray = rng.integers(0, 256, (20, 30, 1), np.uint8)
    colour = rng.integers(0, 256, (20, 30, 3), np.uint8)
    deep = rng.integers(0, 65536, (20, 30, 1), np.uint16)
    write(folder / "gray.tif", (gray, Layout()))
    write(folder / "white.tif", (gray, Layout(photometric=0)))
    write(folder / "deep.tif", (deep, Layout(16)))
    Image.fromarray(colour).save(folder / "colour.png")
    smooth = np.dstack([np.add.outer(np.arange(40), np.arange(50)) * 2] * 3).astype(np.uint8)
    Image.fromarray(smooth).save(folder / "photo.jpg", quality=90, subsampling=0)
    index = Image.fromarray(smooth).quantize(16)
    index.save(folder / "palette.png")
    with Image.open(folder / "photo.jpg") as image:
        photo = np.asarray(image)

    def verdict(name: str, pixels: np.ndarray, sibling: str = "npy") -> Kind:
        path = folder / name
        read = read_by_all(path, {}, lambda step: None)
        seen = Seen([Variant(banded(pixels))])
        lossless = not name.endswith(".jpg")
        return judge(Sibling(sibling, "here", seen), read, facts_of(path), lossless).kind

    changed: Callable[[np.ndarray], np.ndarray] = lambda a: one_off(a)
    opaque = np.dstack([colour, np.full((20, 30), 255, np.uint8)])
    clear = np.dstack([colour, np.full((20, 30), 7, np.uint8)])
    return {
        "the same": (verdict("gray.tif", gray), Kind.EXACT),
        "one step in one pixel": (verdict("gray.tif", changed(gray)), Kind.WRONG),
        "inverted": (verdict("gray.tif", 255 - gray), Kind.WRONG),
        "shifted": (verdict("gray.tif", np.roll(gray, 1, axis=1)), Kind.WRONG),
        "cut": (verdict("gray.tif", gray[:-1]), Kind.WRONG),
        "white is zero": (verdict("white.tif", 255 - gray), Kind.EXACT),
        "white is zero, changed": (verdict("white.tif", changed(255 - gray)), Kind.WRONG),
        "16 bits": (verdict("deep.tif", deep), Kind.EXACT),
        "16 bits, the low one off": (verdict("deep.tif", deep ^ 1), Kind.WRONG),
        "16 bits, the bytes swapped": (verdict("deep.tif", deep.byteswap()), Kind.WRONG),
        "colours": (verdict("colour.png", colour), Kind.EXACT),
        "colours in another order": (verdict("colour.png", colour[..., ::-1]), Kind.WRONG),
        "opaque": (verdict("colour.png", opaque), Kind.EXACT),
        "two bands of three": (verdict("colour.png", colour[..., :2]), Kind.WRONG),
        "palette": (verdict("palette.png", np.asarray(index.convert("RGB"))), Kind.EXACT),
        "palette, changed": (
            verdict("palette.png", changed(np.asarray(index.convert("RGB")))),
            Kind.WRONG,
        ),
        "photo, two off": (verdict("photo.jpg", np.minimum(photo, 253) + 2), Kind.LOSSY),
        "photo, noise": (verdict("photo.jpg", rng.integers(0, 256, photo.shape, np.uint8)), Kind.WRONG),
        "opacity made up": (verdict("colour.png", clear), Kind.WRONG),
        "a missing file": (Kind.EIO if fetch(folder / "none") == "ENOENT" else Kind.EXACT, Kind.EIO),
    }


def one_off(array: np.ndarray) -> np.ndarray:
    copy = array.copy()
    copy[3, 4] ^= 1
    return copy


if __name__ == "__main__":
    sys.exit(main())
