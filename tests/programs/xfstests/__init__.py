"""What xfstests asks in its group generic/quick of any file system, asked in our own words.

xfstests is in no registry of packages, and most of it is about disks: logs that are
replayed, quotas, clones. What is left is what a program may expect of a mount, and each
case here does what the tests whose numbers it has say that they do. All hold on a local
file system; what a mount can't do stands below with its reason, and must fail: what
passes by now is to be taken off.
"""

import os
import shutil
import signal
import traceback
from pathlib import Path

from . import attributes, files, mappings, names
from .case import CASES

__all__ = ["attributes", "counts", "expected", "files", "mappings", "names", "run"]

SECONDS = 120

ZEROS = "FALLOC_FL_ZERO_RANGE is refused with EOPNOTSUPP, and programs write zeros themselves"
NOSUID = "set-id bits mean nothing on a mount, which is nosuid, and only a chown clears them"
ALWAYS = {
    "008 009 a range is made zeros": ZEROS,
    "758 mappings see ranges of zeros": ZEROS,
    "193 355 who writes into a file or cuts it clears setuid": NOSUID,
    "688 allocating clears setuid": NOSUID,
    "004 531 files without names can be given one": "O_TMPFILE is refused with EOPNOTSUPP",
    "078 a rename may leave a whiteout": "there are no whiteouts: EINVAL",
    "184 devices that mknod makes work": "there are no devices: EPERM",
}
NO_LINKS = "a bucket holds no links: EPERM"
NO_ATTRIBUTES = "extended attributes of objects can't be set: EOPNOTSUPP"
IN_BUCKETS = {
    "002 links are counted": NO_LINKS,
    "005 circles of links end": NO_LINKS,
    "236 755 links and their end change ctime": NO_LINKS,
    "360 a link holds a path of 4095 bytes": NO_LINKS,
    "378 a link has the rights of the file": NO_LINKS,
    "401 directories say what kind a name is of": NO_LINKS,
    "184 pipes and files that mknod makes work": "a bucket holds no pipes: EPERM",
    "020 062 097 attributes are set listed and removed": NO_ATTRIBUTES,
    "337 377 486 523 533 611 names and values of attributes have their limits": NO_ATTRIBUTES,
    "454 attributes that look alike are different": NO_ATTRIBUTES,
    "025 exchange exchanges files and directories": "two keys can't be exchanged: EINVAL",
    "035 a directory that is renamed over has no links left": "it has two, whatever it contains",
    "308 525 far offsets are read and written or refused": "10,000 parts are no more than 660 GiB: "
    "close fails with ENOSPC",
}
# How many pass, in memory and in a bucket.
PASSED, PASSED_IN_A_BUCKET = 71, 58


def expected(in_a_bucket: bool) -> dict[str, str]:
    """The cases that fail on a mount, and why."""
    return {**ALWAYS, **IN_BUCKETS} if in_a_bucket else ALWAYS


def counts(in_a_bucket: bool) -> dict[str, int]:
    """How many pass and fail, which is pinned: a case that is gone is noticed."""
    failed = len(expected(in_a_bucket))
    passed = len(CASES) - failed
    pinned = PASSED_IN_A_BUCKET if in_a_bucket else PASSED
    if passed != pinned:
        raise RuntimeError(f"{passed} cases pass, and not {pinned}: say so in xfstests/__init__.py")
    return {"passed": passed, "expected to fail": failed}


def stop(_signal: int, _frame: object) -> None:
    raise TimeoutError(f"it has not ended after {SECONDS} s")


def failure(name: str, folder: Path) -> str | None:
    """Why a case fails."""
    folder.mkdir()
    signal.alarm(SECONDS)
    try:
        CASES[name](folder)
    except Exception:  # noqa: BLE001 - whatever it is, the case has failed
        return traceback.format_exc(limit=-2)
    finally:
        signal.alarm(0)
        shutil.rmtree(folder)
    return None


def run(root: Path, failing: dict[str, str]) -> dict[str, str]:
    """What is wrong with which case, in a folder that is left as it was."""
    signal.signal(signal.SIGALRM, stop)
    os.umask(0o022)
    wrong = {name: "there is no such case" for name in failing.keys() - CASES.keys()}
    for number, name in enumerate(CASES):
        why = failure(name, root / f"case {number}")
        if why and name not in failing:
            wrong[name] = why
        elif not why and name in failing:
            wrong[name] = f"passes by now, although {failing[name]}"
    return wrong
