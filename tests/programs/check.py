"""Runs one program on a mount and on a local copy: check.py PROGRAM MOUNT LOCAL [COPY]

Exits with 0 where both gave the same result, 1 where they did not, and 77 where
the program is not installed. Of a program "on siblings" the local copy gives what
the images hold, and the mount what their virtual siblings hold. Of a program
"writing" the mount is written to, and instead of the local copy a copy of it. A test
suite has its own opinion of what is right, and runs on the mount alone. With COPY,
which must not exist yet, that is where the copy is made, and it stays: bucket.py
compares it with what is in the bucket then.
`check.py --list` prints the names of all.
"""

import difflib
import json
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import command_line
import libraries
import siblings
import suites
import writing
from result import NotInstalled

# What is run on the local copy, and what on the mount.
PROGRAMS = {
    **{name: (run, run) for name, run in libraries.PROGRAMS.items()},
    **{name: (run, run) for name, run in command_line.PROGRAMS.items()},
    **siblings.PROGRAMS,
    **{name: (run, run) for name, run in writing.PROGRAMS.items()},
    **{name: (None, run) for name, run in suites.PROGRAMS.items()},
}

SKIPPED = 77


def main() -> None:
    if sys.argv[1:] == ["--list"]:
        print("\n".join(PROGRAMS))
        return
    if len(sys.argv) not in (4, 5) or sys.argv[1] not in PROGRAMS:
        known = ", ".join(PROGRAMS)
        sys.exit(f"usage: check.py PROGRAM MOUNT LOCAL [COPY], PROGRAM one of: {known}")
    name, (mount, local, *copy) = sys.argv[1], map(Path, sys.argv[2:])
    if mount.resolve() == local.resolve():
        sys.exit("MOUNT and LOCAL are the same folder")
    try:
        of_local, of_mount = PROGRAMS[name]
        if of_local is None:
            print(f"{name}: {run(of_mount, mount)}")
            if copy:
                shutil.copytree(local, copy[0])
                if name not in suites.LEAVING_NOTHING:
                    run(of_mount, copy[0])
            return
        expected = (
            on_a_copy(of_local, local, *copy)
            if name in writing.PROGRAMS
            else run(of_local, local)
        )
        actual = run(of_mount, mount)
    except NotInstalled as program:
        print(f"{program} is not installed")
        sys.exit(SKIPPED)
    if not expected:
        sys.exit(f"{name}: nothing was compared")
    if actual != expected:
        report(name, expected, actual)
        sys.exit(1)
    print(f"{name}: {len(expected)} results are the same")


def run(program: Callable[[Path, Path], dict], root: Path) -> dict:
    # What a program writes goes here, and into the mount only if it is about that.
    with tempfile.TemporaryDirectory(prefix="s3mem-programs-") as scratch:
        return program(root, Path(scratch))


def on_a_copy(
    program: Callable[[Path, Path], dict], local: Path, copy: Path | None = None
) -> dict:
    if copy is not None:
        shutil.copytree(local, copy)
        return run(program, copy)
    with tempfile.TemporaryDirectory(prefix="s3mem-copy-") as folder:
        copy = Path(folder) / "copy"
        shutil.copytree(local, copy)
        return run(program, copy)


def report(name: str, expected: dict, actual: dict) -> None:
    lines = difflib.unified_diff(
        json.dumps(expected, indent=1, sort_keys=True, default=str).splitlines(),
        json.dumps(actual, indent=1, sort_keys=True, default=str).splitlines(),
        "local copy",
        "mount",
        lineterm="",
    )
    print(f"{name}: the mount gives another result than the local copy")
    for line in list(lines)[:60]:
        print(line[:300])


if __name__ == "__main__":
    main()
