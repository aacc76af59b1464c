"""What can become of a sibling, from worst to best."""

from dataclasses import dataclass, field
from enum import IntEnum


class Kind(IntEnum):
    WRONG = 0
    BROKEN = 1
    STUCK = 2
    EIO = 3
    UNDECIDED = 4
    METADATA = 5
    PREVIEW = 6
    NONE = 7
    DAMAGED = 8
    ALL_REFUSE = 9
    REFUSED = 10
    LOSSY = 11
    EXACT = 12
    NOTHING = 13
    NOTE = 14


TITLES = {
    Kind.WRONG: "WRONG pixels",
    Kind.BROKEN: "BROKEN: no reader opens the sibling",
    Kind.STUCK: "STUCK: it takes too long, or ends its reader",
    Kind.EIO: "EIO where others read",
    Kind.UNDECIDED: "undecided: each reader reads something else",
    Kind.METADATA: "exact, but X.tif loses what the image says",
    Kind.PREVIEW: "exact, but the preview is one flat colour",
    Kind.NONE: "no siblings, where others read",
    Kind.DAMAGED: "EIO, and others complain or differ",
    Kind.ALL_REFUSE: "other readers refuse too",
    Kind.REFUSED: "refused with a reason in X.json",
    Kind.LOSSY: "lossy, within the difference of decoders",
    Kind.EXACT: "exact",
    Kind.NOTHING: "no image, to anybody",
    Kind.NOTE: "a note",
}

# With any of these the run has failed.
FAILURES = (Kind.WRONG, Kind.BROKEN, Kind.STUCK, Kind.EIO)


@dataclass
class Finding:
    """What was found of one sibling."""

    kind: Kind
    sibling: str
    text: str
    # Who says what.
    said: list[str] = field(default_factory=list)
    # The shape and type of the sibling.
    ours: str = ""
