"""Finds the program, which the wheel brings along, and runs it."""

import os
import shutil
import subprocess
import sys
import sysconfig
from importlib import metadata
from pathlib import Path
from typing import Iterator, NamedTuple, Sequence

from ._errors import ProgramMissing


class Ran(NamedTuple):
    """A command that has ended."""

    status: int
    output: str
    sentence: str
    """What it said on standard error, without the program's name."""


def program() -> str:
    """The path of the program ``s3mem``.

    ``S3MEM_PROGRAM`` names another one than that of this package.
    """
    named = os.environ.get("S3MEM_PROGRAM")
    candidates = [Path(named)] if named else _candidates()
    for path in candidates:
        if path.is_file() and os.access(path, os.X_OK):
            return str(path.absolute())
    if named:
        raise ProgramMissing(f"S3MEM_PROGRAM names {named}, which is no program")
    raise ProgramMissing("the program s3mem is not installed; install the wheel of s3mem with pip")


def _candidates() -> Iterator[Path]:
    """Where installers put it, the surest place first."""
    try:
        for file in metadata.files("s3mem") or []:
            if file.name == "s3mem" and file.parent.name == "bin":
                yield Path(str(file.locate()))
    except metadata.PackageNotFoundError:
        pass
    yield Path(sysconfig.get_path("scripts"), "s3mem")
    yield Path(sys.prefix, "bin", "s3mem")
    # pip install --target DIR
    yield Path(__file__).parent.parent / "bin" / "s3mem"
    found = shutil.which("s3mem")
    if found:
        yield Path(found)


def run(arguments: Sequence[str]) -> Ran:
    """Runs the program to its end; for a mount, until it is usable."""
    words: list[str] = [program(), *arguments]
    ran = subprocess.run(
        words, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", errors="replace"
    )
    lines = [line.removeprefix("s3mem: ") for line in ran.stderr.splitlines()]
    return Ran(ran.returncode, ran.stdout, "\n".join(lines).strip())
