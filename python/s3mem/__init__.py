"""Mounts S3 buckets as folders, from Python.

    import s3mem

    with s3mem.mount("s3://bucket/prefix") as path:
        print(sorted(path.iterdir()))

The mount is there for every program of yours while the block lasts: for libraries that want a
file name, for programs that you start, and for the workers of ``multiprocessing`` and of a data loader.
"""

from ._errors import CannotMount, Error, MountError, ProgramMissing, UnmountError
from ._mount import Mount, Option, mount
from ._program import program
from ._status import status

__all__ = [
    "CannotMount",
    "Error",
    "Mount",
    "MountError",
    "Option",
    "ProgramMissing",
    "UnmountError",
    "mount",
    "program",
    "status",
]
