"""Mappings of files, and copies between them."""

import errno
import mmap
import os
import tempfile
import threading
from pathlib import Path

from .case import (
    KEEP_SIZE,
    PUNCH_HOLE,
    ZERO_RANGE,
    case,
    fails,
    fallocate,
    opened,
    pattern,
    same,
    tick,
    times,
)

PAGE = 4096


@case(29, 30)
def mappings_see_zeros_behind_an_end_that_moved(root: Path) -> None:
    (root / "file").write_bytes(b"x" * 4 * PAGE)
    with opened(root / "file") as file:
        with mmap.mmap(file, 4 * PAGE) as mapping:
            mapping[:] = b"y" * 4 * PAGE
            os.ftruncate(file, PAGE + 10)
            os.ftruncate(file, 4 * PAGE)
            same(mapping[: PAGE + 10], b"y" * (PAGE + 10))
            same(mapping[PAGE + 10 :], bytes(3 * PAGE - 10))
            mapping[2 * PAGE : 2 * PAGE + 3] = b"zzz"
            mapping.flush()
        same(os.pread(file, 3, 2 * PAGE), b"zzz")
        same(os.pread(file, 5, PAGE + 8), b"yy\0\0\0")


@case(80, 215)
def writes_into_a_mapping_change_the_times(root: Path) -> None:
    (root / "file").write_bytes(b"x" * PAGE)
    before = times(root / "file")
    tick()
    with opened(root / "file") as file, mmap.mmap(file, PAGE) as mapping:
        mapping[0:1] = b"y"
        mapping.flush()
    after = times(root / "file")
    assert after[0] > before[0] and after[1] > before[1], f"{before} and {after}"


@case(141)
def holes_are_zeros_in_a_mapping(root: Path) -> None:
    with opened(root / "file") as file:
        os.pwrite(file, b"end", 200 * PAGE)
        with mmap.mmap(file, 200 * PAGE + 3, prot=mmap.PROT_READ) as mapping:
            for page in range(0, 200, 7):
                same(mapping[page * PAGE : page * PAGE + 16], bytes(16))
            same(mapping[200 * PAGE :], b"end")


@case(246, 346)
def a_mapping_of_a_short_file_ends_with_zeros(root: Path) -> None:
    (root / "file").write_bytes(b"x" * 100)
    with opened(root / "file") as file, mmap.mmap(file, 0) as mapping:
        mapping[99:100] = b"y"
        mapping.flush()
        os.pwrite(file, b"z" * PAGE, 100)
    same((root / "file").read_bytes(), b"x" * 99 + b"y" + b"z" * PAGE)


@case(247, 708)
def direct_writes_and_mappings_of_one_file_do_not_hang(root: Path) -> None:
    (root / "file").write_bytes(bytes(64 * PAGE))
    with opened(root / "file", os.O_RDWR | os.O_DIRECT) as direct, opened(root / "file") as file:
        room = mmap.mmap(-1, PAGE)
        room[:] = b"d" * PAGE

        def write() -> None:
            for n in range(64):
                os.pwritev(direct, [room], n * PAGE)

        writing = threading.Thread(target=write)
        writing.start()
        with mmap.mmap(file, 64 * PAGE) as mapping:
            for n in range(64):
                assert mapping[n * PAGE] in (0, ord("d"))
        writing.join()
    same((root / "file").read_bytes(), b"d" * 64 * PAGE)


@case(248, 647, 729)
def a_file_is_written_from_its_own_mapping(root: Path) -> None:
    right = bytearray(pattern(8 * PAGE))
    (root / "file").write_bytes(right)
    with opened(root / "file") as file, mmap.mmap(file, 8 * PAGE) as mapping:
        view = memoryview(mapping)
        same(os.pwritev(file, [view[0:PAGE]], PAGE // 2), PAGE)
        # Which bytes the kernel sees where they overlap is not said; those before are.
        same(mapping[: PAGE // 2], right[: PAGE // 2])
        same(os.pwritev(file, [view[4 * PAGE : 5 * PAGE]], 6 * PAGE), PAGE)
        same(mapping[6 * PAGE : 7 * PAGE], right[4 * PAGE : 5 * PAGE])
        same(os.preadv(file, [view[2 * PAGE : 3 * PAGE]], 7 * PAGE), PAGE)
        same(mapping[2 * PAGE : 3 * PAGE], right[7 * PAGE :])
        view.release()


@case(430, 431)
def copy_file_range_copies_wholes_and_parts(root: Path) -> None:
    right = pattern(70_000)
    (root / "file").write_bytes(right)

    def copied(target: int, length: int, at: int, to: int) -> None:
        while length:
            done = os.copy_file_range(source, target, length, offset_src=at, offset_dst=to)
            assert done > 0
            at, to, length = at + done, to + done, length - done

    with opened(root / "file", os.O_RDONLY) as source, opened(root / "copy") as target:
        copied(target, 70_000, 0, 0)
        same((root / "copy").read_bytes(), right)
        copied(target, 5_000, 30_000, 1_000)
        same(os.pread(target, 5_002, 999), right[999:1000] + right[30_000:35_000] + right[6_000:6_001])
        copied(target, 1, 7, 80_000)
        same(os.pread(target, 20_000, 70_000), bytes(10_000) + right[7:8])
        same(os.copy_file_range(source, target, 10, offset_src=70_000, offset_dst=0), 0)


@case(434, 564, 565)
def copy_file_range_refuses_what_it_must(root: Path) -> None:
    (root / "file").write_bytes(pattern(10_000))
    with opened(root / "file", os.O_RDONLY) as source, opened(root / "copy") as target:
        for bad in (
            lambda: os.copy_file_range(target, source, 10),
            lambda: os.copy_file_range(os.open(root / "copy", os.O_WRONLY), target, 10),
        ):
            with fails(errno.EBADF):
                bad()
        with opened(root, os.O_RDONLY) as folder, fails(errno.EISDIR):
            os.copy_file_range(folder, target, 10)
        with opened(root / "copy", os.O_WRONLY | os.O_APPEND) as appending, fails(errno.EBADF):
            os.copy_file_range(source, appending, 10)
    with opened(root / "file") as file, fails(errno.EINVAL):
        os.copy_file_range(file, file, 100, offset_src=0, offset_dst=50)
    # To another file system the kernel copies by itself, or says that it can't.
    with tempfile.TemporaryFile() as outside, opened(root / "file", os.O_RDONLY) as source:
        try:
            same(os.copy_file_range(source, outside.fileno(), 10_000), 10_000)
            outside.seek(0)
            same(outside.read(), pattern(10_000))
        except OSError as error:
            same(error.errno, errno.EXDEV)


def seen_in_a_mapping(root: Path, mode: int) -> None:
    right = bytearray(b"y" * 8 * PAGE)
    (root / "file").write_bytes(b"x" * 8 * PAGE)
    with opened(root / "file") as file, mmap.mmap(file, 8 * PAGE) as mapping:
        mapping[:] = right
        for at, length in ((PAGE + 5, PAGE), (5 * PAGE - 5, 2 * PAGE)):
            fallocate(file, mode, at, length)
            right[at : at + length] = bytes(length)
            same(mapping[:], right)
    same((root / "file").read_bytes(), right)


@case(567)
def mappings_see_holes(root: Path) -> None:
    seen_in_a_mapping(root, PUNCH_HOLE | KEEP_SIZE)


@case(758)
def mappings_see_ranges_of_zeros(root: Path) -> None:
    seen_in_a_mapping(root, ZERO_RANGE)
