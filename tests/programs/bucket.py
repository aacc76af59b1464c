"""Compares two folders after a program has written: bucket.py PROGRAM BUCKET COPY

BUCKET holds what is in the bucket, as the server has it: a file for each object and a
folder for each marker. COPY is a plain folder where the same program did the same.
Both must have the same folders and the same files with the same bytes. What is never
the same twice is compared by what it means: see MEANINGS.

Exits with 0 where both are the same, and else with 1.
"""

import sqlite3
import sys
import tarfile
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path

from result import command, contents, digest


def database(path: Path) -> str:
    """Who of two writers came first is chance: the rows in order, and the check."""
    base = sqlite3.connect(f"file:{path}?immutable=1", uri=True)
    checked = base.execute("pragma integrity_check").fetchall()
    names = [name for (name,) in base.execute("select name from sqlite_schema order by name")]
    rows = [base.execute(f"select * from {name} order by 1, 2").fetchall() for name in names]
    base.close()
    return repr((checked, names, rows))


def index(path: Path) -> str:
    """Holds the times and numbers of files, and what is staged."""
    git = ["git", "-c", "safe.directory=*", "-C", path.parent.parent]
    command(*git, "fsck", "--full", "--strict")
    return command(*git, "ls-files", "--stage").decode()


def settings(path: Path) -> str:
    """git notes by itself where there are no symbolic links."""
    told = command("git", "config", "--file", path, "--list").decode().splitlines()
    return repr(sorted(set(told) - {"core.symlinks=false"}))


def archive(path: Path) -> str:
    """Has the times of folders, and the order in which a folder is listed."""
    with tarfile.open(path) as members:
        bytes_of = {m.name: members.extractfile(m) for m in members if m.isfile()}
        folders = sorted(m.name for m in members if m.isdir())
        return repr((folders, sorted((name, digest(f.read())) for name, f in bytes_of.items())))


# The files of a program whose bytes differ from run to run, and what must not.
MEANINGS: dict[str, dict[str, Callable[[Path], str]]] = {
    "python's sqlite3 writing": {"*.db": database},
    "two sqlite3 shells writing": {"*.db": database},
    "tar writing": {"*.tar.gz": archive},
    "git writing": {"*/.git/index": index, "*/.git/config": settings},
}


def main() -> None:
    if len(sys.argv) != 4:
        sys.exit("usage: bucket.py PROGRAM BUCKET COPY")
    name, bucket, copy = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    expected, actual = told(name, copy), told(name, bucket)
    if not expected:
        sys.exit(f"{name}: nothing was compared")
    wrong = [
        f"{path}: {actual.get(path, 'missing')[:200]} is not {expected.get(path, 'to be there')[:200]}"
        for path in sorted(expected.keys() | actual.keys())
        if expected.get(path) != actual.get(path)
    ]
    if wrong:
        print(f"{name}: the bucket holds something else than the local copy")
        print("\n".join(wrong[:60]))
        sys.exit(1)
    print(f"{name}: {len(expected)} files and folders are the same")


def told(name: str, root: Path) -> dict[str, str]:
    """What stands for each file and folder below a folder."""
    results = contents(root)
    for path in root.rglob("*"):
        if path.is_dir():
            results[f"{path.relative_to(root)}/"] = "a folder"
    for pattern, meaning in MEANINGS.get(name, {}).items():
        for path in [path for path in results if fnmatch(path, pattern)]:
            results[path] = meaning(root / path)
    return results


if __name__ == "__main__":
    main()
