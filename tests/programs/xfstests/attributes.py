"""Extended attributes."""

import ctypes
import errno
import os
from pathlib import Path

from .case import (
    case,
    checked,
    fails,
    libc,
    same,
)


@case(20, 62, 97)
def attributes_are_set_listed_and_removed(root: Path) -> None:
    (root / "file").write_bytes(b"x")
    (root / "dir").mkdir()
    for path in (root / "file", root / "dir"):
        same(os.listxattr(path), [])
        with fails(errno.ENODATA):
            os.getxattr(path, "user.none")
        os.setxattr(path, "user.a", b"1")
        os.setxattr(path, "user.empty", b"")
        os.setxattr(path, "user.binary", bytes(range(256)))
        same(sorted(os.listxattr(path)), ["user.a", "user.binary", "user.empty"])
        same(os.getxattr(path, "user.binary"), bytes(range(256)))
        with fails(errno.EEXIST):
            os.setxattr(path, "user.a", b"2", os.XATTR_CREATE)
        with fails(errno.ENODATA):
            os.setxattr(path, "user.none", b"2", os.XATTR_REPLACE)
        os.setxattr(path, "user.a", b"longer", os.XATTR_REPLACE)
        same(os.getxattr(path, "user.a"), b"longer")
        os.removexattr(path, "user.a")
        with fails(errno.ENODATA):
            os.removexattr(path, "user.a")


@case(337, 377, 486, 523, 533, 611)
def names_and_values_of_attributes_have_their_limits(root: Path) -> None:
    (root / "file").touch()
    path = root / "file"
    for name in ("user.x", "user.with/slash", "user." + "n" * 250):
        os.setxattr(path, name, b"v")
        same(os.getxattr(path, name), b"v")
    with fails(errno.ERANGE):
        os.setxattr(path, "user." + "n" * 251, b"v")
    os.setxattr(path, "user.x", b"v" * 3000, os.XATTR_REPLACE)
    same(os.getxattr(path, "user.x"), b"v" * 3000)
    with fails(errno.E2BIG, errno.ENOSPC):
        os.setxattr(path, "user.x", b"v" * 65_537)
    room = ctypes.create_string_buffer(4)
    with fails(errno.ERANGE):
        checked(libc.listxattr(os.fsencode(path), room, 4))
    with fails(errno.ERANGE):
        checked(libc.getxattr(os.fsencode(path), b"user.x", room, 4))


@case(454)
def attributes_that_look_alike_are_different(root: Path) -> None:
    (root / "file").touch()
    names = ["user.\u00e9", "user.e\u0301", "user.\u212b", "user.\u00c5"]
    for name in names:
        os.setxattr(root / "file", name, name.encode())
    same(sorted(os.listxattr(root / "file")), sorted(names))
    same([os.getxattr(root / "file", name).decode() for name in names], names)
