"""Whether two arrays are the same picture, and what the votes of several readers say.

Arrays are (rows, columns, bands). A difference that the documentation announces is
named by a label and does not count: opacity that is opaque, a palette as colours, white
that is zero, readers that keep 8 bits or the first bands only.
"""

import itertools
from dataclasses import dataclass

import numpy as np

from readers import Facts, Seen, Variant


FEWER_BITS = ("they keep 8 bits",)
FEWER_BANDS = ("their opacity is missing", "they read the first bands")


@dataclass
class Relation:
    """How far two pictures are apart."""

    largest: float
    mean: float
    differing: float
    labels: tuple[str, ...] = ()

    @property
    def exact(self) -> bool:
        return self.largest == 0

    @property
    def in_part(self) -> bool:
        """Whether the reader sees less than there is."""
        return any(label in FEWER_BITS + FEWER_BANDS for label in self.labels)

    def told(self) -> str:
        notes = f" ({', '.join(self.labels)})" if self.labels else ""
        if self.exact:
            return f"the same{notes}"
        return (
            f"up to {self.largest:.6g} apart, {self.mean:.3g} on average, "
            f"{self.differing:.2%} of samples{notes}"
        )


def opaque(band: np.ndarray) -> bool:
    full = np.iinfo(band.dtype).max if band.dtype.kind in "ui" else 1
    return bool((band == full).all())


def is_gray(array: np.ndarray) -> bool:
    red = array[..., 0]
    return np.array_equal(red, array[..., 1]) and np.array_equal(red, array[..., 2])


def bands_aligned(
    ours: np.ndarray, theirs: np.ndarray, sibling: str
) -> tuple[np.ndarray, np.ndarray, str] | None:
    """Both with the same bands, where that is legitimate."""
    n, m = ours.shape[2], theirs.shape[2]
    if n == m:
        return ours, theirs, ""
    if n in (3, 4) and m in (1, 2) and is_gray(ours):
        aligned = bands_aligned(ours[..., [0, *range(3, n)]], theirs, sibling)
        return aligned and (*aligned[:2], f"gray as RGB {aligned[2]}".strip())
    if n == m + 1 and n in (2, 4):
        label = "opacity added" if opaque(ours[..., -1]) else FEWER_BANDS[0]
        return ours[..., :m], theirs, label
    if m == n + 1 and m in (2, 4) and opaque(theirs[..., -1]):
        return ours, theirs[..., :n], "opacity left out"
    if sibling in ("png", "preview") and n == 3 and m > 3:
        return ours, theirs[..., :3], "three bands of more"
    if m in (1, 3, 4) and n > max(m, 2) and m < n:
        return ours[..., :m], theirs, FEWER_BANDS[1]
    if m == 4 and n == 5:
        return ours[..., :4], theirs, FEWER_BANDS[1]
    return None


def differences(ours: np.ndarray, theirs: np.ndarray) -> Relation:
    """NaNs are equal to each other, and so are infinities of a sign."""
    if np.array_equal(ours, theirs):
        return Relation(0, 0, 0)
    if "c" in (ours.dtype.kind, theirs.dtype.kind):
        a, b = ours.astype(np.complex128), theirs.astype(np.complex128)
        a = np.concatenate([a.real, a.imag], axis=2)
        b = np.concatenate([b.real, b.imag], axis=2)
        return differences(a, b)
    if {ours.dtype.kind, theirs.dtype.kind} <= set("ui") and 8 in (
        ours.dtype.itemsize,
        theirs.dtype.itemsize,
    ):
        unequal = ours != theirs
        with np.errstate(over="ignore"):
            apart = np.abs(ours.astype(np.float64) - theirs.astype(np.float64))
        apart[unequal & (apart == 0)] = 1
    elif {ours.dtype.kind, theirs.dtype.kind} <= set("ui"):
        wide = np.int32 if max(ours.dtype.itemsize, theirs.dtype.itemsize) <= 2 else np.int64
        apart = np.abs(ours.astype(wide) - theirs.astype(wide))
    else:
        a, b = ours.astype(np.float64), theirs.astype(np.float64)
        same = (a == b) | (np.isnan(a) & np.isnan(b))
        with np.errstate(invalid="ignore", over="ignore"):
            apart = np.where(same, 0.0, np.abs(a - b))
        apart[np.isnan(apart)] = np.inf
    finite = np.isfinite(apart)
    mean = float(apart[finite].mean()) if finite.any() else float("inf")
    return Relation(float(apart.max(initial=0)), mean, float((apart > 0).mean()))


def narrowed(ours: np.ndarray, theirs: np.ndarray) -> list[tuple[np.ndarray, str]]:
    """Ours as a reader gives it that has no wider type."""
    if ours.dtype == theirs.dtype:
        return []
    if theirs.dtype == np.uint8 and ours.dtype == np.uint16:
        return [
            ((ours >> 8).astype(np.uint8), FEWER_BITS[0]),
            (np.round(ours / 257).astype(np.uint8), FEWER_BITS[0]),
        ]
    if theirs.dtype == np.float32 and ours.dtype == np.float64:
        with np.errstate(over="ignore"):
            return [(ours.astype(np.float32), "they keep 32 bits")]
    if theirs.dtype == np.int32 and ours.dtype == np.uint32:
        return [(ours.view(np.int32) if ours.flags.c_contiguous else ours.astype(np.int32),
                 "they have no unsigned 32 bits")]
    if theirs.dtype == np.complex64 and ours.dtype == np.complex128:
        return [(ours.astype(np.complex64), "they keep 32 bits")]
    return []


def our_forms(ours: np.ndarray, facts: Facts) -> list[Variant]:
    """Ours, and where white is zero what is stored."""
    forms = [Variant(ours)]
    if facts.white_is_zero and ours.dtype.kind in "ui" and facts.bits:
        top = (1 << min(facts.bits, ours.dtype.itemsize * 8)) - 1
        if ours.dtype.kind == "u":
            inverted = (np.array(top, ours.dtype) - ours).astype(ours.dtype)
        else:
            inverted = -1 - ours
        forms.append(Variant(inverted, "white is zero"))
        if facts.bits < 8 and ours.dtype == np.uint8:
            # Of what is stretched from black to white.
            forms.append(Variant(255 - ours, "white is zero"))
    return forms


def relate(ours: np.ndarray, theirs: Seen, facts: Facts, sibling: str) -> Relation | None:
    """The best that can be said of the two; None if they can't be compared."""
    if facts.gif and ours.shape[2] == 4:
        # Under what is transparent there is no colour.
        ours = ours * (ours[..., 3:] > 0)
        theirs = Seen([without_hidden(v) for v in theirs.variants], theirs.driver)
    best: Relation | None = None
    for form in our_forms(ours, facts):
        for variant in theirs.variants:
            pixels = variant.pixels
            mine = form.pixels
            if mine.shape[:2] != pixels.shape[:2]:
                continue
            if pixels.dtype.kind == "c" and mine.dtype.kind != "c":
                mine = as_complex(mine, pixels.shape[2])
            aligned = bands_aligned(mine, pixels, sibling)
            if aligned is None:
                continue
            a, b, bands = aligned
            for c, narrow in [(a, ""), *narrowed(a, b)]:
                labels = [form.label, variant.label, bands, narrow]
                found = differences(c, b)
                found.labels = tuple(label for label in labels if label)
                if best is None or better(found, best):
                    best = found
                if best.exact and not best.labels:
                    return best
    return best


def without_hidden(variant: Variant) -> Variant:
    pixels = variant.pixels
    if pixels.shape[2] == 4:
        pixels = pixels * (pixels[..., 3:] > 0)
    return Variant(pixels, variant.label)


def better(one: Relation, other: Relation) -> bool:
    if one.exact != other.exact:
        return one.exact
    if one.exact:
        return (one.in_part, len(one.labels)) < (other.in_part, len(other.labels))
    return (one.largest, one.mean) < (other.largest, other.mean)


def as_complex(array: np.ndarray, bands: int) -> np.ndarray:
    """Two bands for each complex one, the real part before the imaginary."""
    if array.shape[2] != 2 * bands:
        return array
    # Sums of infinities and NaN would change both parts.
    kept = np.complex64 if array.dtype == np.float32 else np.complex128
    whole = np.empty((*array.shape[:2], bands), kept)
    whole.real, whole.imag = array[..., 0::2], array[..., 1::2]
    return whole


def same_picture(one: Seen, other: Seen) -> bool:
    """Whether two readers agree, in any of their forms."""
    for mine, theirs in itertools.product(one.variants, other.variants):
        if mine.pixels.shape[:2] != theirs.pixels.shape[:2]:
            continue
        aligned = bands_aligned(mine.pixels, theirs.pixels, "")
        if aligned is None:
            continue
        a, b, _ = aligned
        for c in (a, *(form for form, _ in narrowed(a, b))):
            if np.array_equal(c, b) or (c.dtype.kind in "fc" and differences(c, b).exact):
                return True
    return False


def largest_camp(seen: dict[str, Seen]) -> list[str]:
    """The most readers that all agree with one of them."""
    best: list[str] = []
    for name in seen:
        camp = [n for n in seen if n == name or same_picture(seen[name], seen[n])
                or same_picture(seen[n], seen[name])]
        if len(camp) > len(best):
            best = camp
    return best


def spread(seen: dict[str, Seen]) -> tuple[float, float]:
    """How far readers are apart from each other: at most, and on average."""
    largest = mean = 0.0
    for one, other in itertools.combinations(seen.values(), 2):
        found = relate(one.variants[0].pixels, other, Facts(), "")
        if found:
            largest, mean = max(largest, found.largest), max(mean, found.mean)
    return largest, mean
