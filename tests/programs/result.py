"""What the checks share: how a result is told, and how a program is run.

A check is a function of a root folder and a scratch folder. It returns a dict
of named results that hold neither a path of the root nor a time stamp, so that
two roots can be compared.
"""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

BAND = "tiles/10/S/DG/2015/12/7/0/B01.jp2"


# Whether what is written goes into a bucket, which holds neither links nor permissions.
IN_A_BUCKET = os.environ.get("S3MEM_TEST_WRITES") == "upload"


class NotInstalled(Exception):
    """The program is not on this machine."""


def digest(data: bytes) -> str:
    return f"{len(data)} bytes {hashlib.sha256(data).hexdigest()[:16]}"


def command(*words: object, cwd: Path | None = None, seconds: float = 120) -> bytes:
    """Standard output of a command, which must succeed and complain of nothing."""
    program = str(words[0])
    if shutil.which(program) is None:
        raise NotInstalled(program)
    done = subprocess.run(
        [str(word) for word in words],
        cwd=cwd,
        capture_output=True,
        check=False,
        timeout=seconds,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode != 0:
        complaint = (done.stdout[-3000:] + done.stderr[-6000:]).decode(errors="replace")
        raise RuntimeError(f"{words} in {cwd}: exit {done.returncode}: {complaint}")
    return done.stdout


def contents(folder: Path) -> dict[str, str]:
    """The digest of each file below a folder."""
    return {
        str(path.relative_to(folder)): digest(path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
