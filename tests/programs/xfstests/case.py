"""What the cases share: how one is registered, and calls that Python lacks."""

import ctypes
import errno
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

# The cases by their names: the numbers that xfstests has for it, and what is done.
CASES: dict[str, Callable[[Path], None]] = {}

USER = 1  # daemon, which every Debian has
OTHER = 2  # bin
# The kernel's own clock ticks 100 times a second on some machines.
TICK = 0.05

libc = ctypes.CDLL(None, use_errno=True)
libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]

KEEP_SIZE, PUNCH_HOLE, ZERO_RANGE = 1, 2, 16
NOREPLACE, EXCHANGE, WHITEOUT = 1, 2, 4


def case(*numbers: int) -> Callable:
    """Registers a case under the numbers of the tests in generic/ that ask the same."""

    def register(function: Callable[[Path], None]) -> Callable[[Path], None]:
        told = " ".join(f"{number:03}" for number in numbers)
        name = f"{told} {function.__name__.replace('_', ' ').strip()}"
        assert name not in CASES, name
        CASES[name] = function
        return function

    return register


@contextmanager
def fails(*codes: int) -> Iterator[None]:
    """What is inside fails with one of these errors."""
    try:
        yield
    except OSError as error:
        names = [errno.errorcode[code] for code in codes]
        assert error.errno in codes, f"{error} instead of {names}"
    else:
        raise AssertionError(f"succeeds instead of {[errno.errorcode[code] for code in codes]}")


def same(found: object, wanted: object) -> None:
    assert found == wanted, f"{str(found)[:200]} instead of {str(wanted)[:200]}"


def checked(outcome: int) -> int:
    if outcome < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return outcome


def rename(old: Path, new: Path, flags: int) -> None:
    at = -100
    checked(libc.renameat2(at, os.fsencode(old), at, os.fsencode(new), flags))


def link_opened(file: int, path: Path) -> None:
    """Gives an open file a name."""
    at, follow = -100, 0x400
    source = os.fsencode(f"/proc/self/fd/{file}")
    checked(libc.linkat(at, source, at, os.fsencode(path), follow))


def fallocate(file: int, mode: int, at: int, length: int) -> None:
    checked(libc.fallocate(file, mode, at, length))


@contextmanager
def opened(path: Path, flags: int = os.O_RDWR | os.O_CREAT, mode: int = 0o644) -> Iterator[int]:
    file = os.open(path, flags, mode)
    try:
        yield file
    finally:
        os.close(file)


def as_user(user: int, work: Callable[[], None]) -> None:
    """Does something in a process of another user, which has to succeed."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        told = b""
        try:
            os.setgroups([])
            os.setgid(user)
            os.setuid(user)
            work()
        except BaseException as error:  # noqa: BLE001 - told to the other process
            told = f"as user {user}: {error!r}".encode() or b"?"
        os.write(writing, told)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        told = pipe.read().decode()
    os.waitpid(child, 0)
    assert not told, told


def in_a_child(work: Callable[[], int]) -> int:
    """What something gives, done by another process."""
    child = os.fork()
    if child == 0:
        code = 99
        try:
            code = work()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def tick() -> None:
    time.sleep(TICK)


def times(path: Path) -> tuple[int, int]:
    """When bytes and when anything of a file were changed last."""
    told = os.stat(path, follow_symlinks=False)
    return told.st_mtime_ns, told.st_ctime_ns


def pattern(length: int, seed: int = 1) -> bytes:
    """Bytes of which no page is like another."""
    words = (length + 7) // 8
    return b"".join((n * 2654435761 + seed).to_bytes(8, "little") for n in range(words))[:length]
