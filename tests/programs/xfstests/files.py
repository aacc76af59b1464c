"""Bytes of files: ways to read, write and cut them, and locks."""

import ctypes
import errno
import fcntl
import mmap
import os
import resource
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

from .case import (
    KEEP_SIZE,
    PUNCH_HOLE,
    USER,
    ZERO_RANGE,
    as_user,
    case,
    checked,
    fails,
    fallocate,
    in_a_child,
    libc,
    opened,
    pattern,
    same,
    tick,
    times,
)

PAGE = 4096
MIB = 1 << 20


@case(8, 9)
def a_range_is_made_zeros(root: Path) -> None:
    bytes_ = bytearray(pattern(10 * PAGE))
    (root / "file").write_bytes(bytes_)
    with opened(root / "file") as file:
        for at, length in ((0, 1), (PAGE - 1, 2), (PAGE, PAGE), (3 * PAGE + 5, 4 * PAGE)):
            fallocate(file, ZERO_RANGE, at, length)
            bytes_[at : at + length] = bytes(length)
        same((root / "file").read_bytes(), bytes_)
        fallocate(file, ZERO_RANGE | KEEP_SIZE, 9 * PAGE, 5 * PAGE)
        same(os.fstat(file).st_size, 10 * PAGE)
        fallocate(file, ZERO_RANGE, 9 * PAGE, 5 * PAGE)
        same(os.fstat(file).st_size, 14 * PAGE)


@case(14, 393)
def files_grow_and_shrink(root: Path) -> None:
    model = bytearray()
    with opened(root / "file") as file:
        for n in range(300):
            size = n * 7919 % 70_000
            os.ftruncate(file, size)
            model = (model + bytes(max(0, size - len(model))))[:size]
            at = n * 104_729 % 70_000
            os.pwrite(file, b"%05d" % n, at)
            model += bytes(max(0, at + 5 - len(model)))
            model[at : at + 5] = b"%05d" % n
            same(os.fstat(file).st_size, len(model))
    same((root / "file").read_bytes(), model)


@case(69, 169)
def several_append_to_one_file(root: Path) -> None:
    def work(worker: int) -> None:
        with opened(root / "file", os.O_WRONLY | os.O_CREAT | os.O_APPEND) as file:
            for n in range(100):
                same(os.write(file, b"%d %06d\n" % (worker, n)), 9)

    workers = [threading.Thread(target=work, args=[n]) for n in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    lines = (root / "file").read_bytes().splitlines()
    same(sorted(lines), sorted(b"%d %06d" % (w, n) for w in range(4) for n in range(100)))


@case(124)
def a_pattern_is_read_as_it_was_written(root: Path) -> None:
    right = pattern(3 * MIB + 17)
    with opened(root / "file") as file:
        for at in reversed(range(0, len(right), 70_001)):
            os.pwrite(file, right[at : at + 70_001], at)
        for size in (512, PAGE, 65_536, MIB):
            read = b"".join(os.pread(file, size, at) for at in range(0, len(right), size))
            same(read == right, True)


@case(129)
def a_few_bytes_lie_far_apart(root: Path) -> None:
    places = [n * MIB + n for n in range(20)]
    with opened(root / "file") as file:
        for place in places:
            os.pwrite(file, b"here", place)
        for place in places:
            same(os.pread(file, 4, place), b"here")
            same(os.pread(file, 100, place + 4)[:50], bytes(50) if place != places[-1] else b"")


@case(130, 135, 412, 450)
def direct_reads_and_writes_see_the_others(root: Path) -> None:
    right = bytearray(pattern(16 * PAGE))
    (root / "file").write_bytes(right)
    with opened(root / "file", os.O_RDWR | os.O_DIRECT) as direct, opened(root / "file") as plain:
        room = mmap.mmap(-1, 2 * PAGE)
        same(os.preadv(direct, [room], 14 * PAGE), 2 * PAGE)
        same(room[:], right[14 * PAGE :])
        same(os.preadv(direct, [room], 16 * PAGE), 0)
        same(os.preadv(direct, [room], 32 * PAGE), 0)
        room[:] = b"d" * 2 * PAGE
        same(os.pwritev(direct, [room], 3 * PAGE), 2 * PAGE)
        right[3 * PAGE : 5 * PAGE] = b"d" * 2 * PAGE
        os.pwrite(plain, b"plain", 4 * PAGE - 2)
        right[4 * PAGE - 2 : 4 * PAGE + 3] = b"plain"
        same(os.preadv(direct, [room], 3 * PAGE), 2 * PAGE)
        same(room[:], right[3 * PAGE : 5 * PAGE])
        same(os.pread(plain, 16 * PAGE, 0), right)


LOCKER = """
import fcntl, sys
file = open(sys.argv[1], "r+b")
try:
    fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 10, int(sys.argv[2]))
except OSError as error:
    sys.exit(error.errno)
"""


@case(131, 478, 504, 571)
def locks_keep_others_out(root: Path) -> None:
    (root / "file").write_bytes(b"x" * 100)

    def try_at(place: int) -> int:
        return subprocess.run([sys.executable, "-c", LOCKER, root / "file", str(place)]).returncode

    with open(root / "file", "r+b") as file, open(root / "file", "r+b") as other:
        fcntl.lockf(file, fcntl.LOCK_EX, 10, 20)
        assert try_at(25) in (errno.EAGAIN, errno.EACCES), "a locked range is given away"
        same(try_at(40), 0)
        fcntl.lockf(file, fcntl.LOCK_UN, 10, 20)
        same(try_at(25), 0)
        fcntl.flock(file, fcntl.LOCK_EX)
        with fails(errno.EAGAIN):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(file, fcntl.LOCK_UN)
        fcntl.flock(other, fcntl.LOCK_SH | fcntl.LOCK_NB)


@case(214)
def what_is_allocated_is_zeros(root: Path) -> None:
    with opened(root / "file") as file:
        os.posix_fallocate(file, 0, 10 * PAGE)
        same(os.fstat(file).st_size, 10 * PAGE)
        same(os.pread(file, 10 * PAGE, 0), bytes(10 * PAGE))
        os.pwrite(file, b"x", 5 * PAGE + 5)
        os.posix_fallocate(file, 3 * PAGE, 20 * PAGE)
        same(os.fstat(file).st_size, 23 * PAGE)
        same(os.pread(file, 3, 5 * PAGE + 4), b"\0x\0")


@case(92, 315)
def room_behind_the_end_leaves_the_size(root: Path) -> None:
    with opened(root / "file") as file:
        os.write(file, b"x" * 100)
        fallocate(file, KEEP_SIZE, 0, 10 * PAGE)
        same(os.fstat(file).st_size, 100)
        os.ftruncate(file, 50)
        same(os.pread(file, PAGE, 0), b"x" * 50)


@case(228, 394)
def no_file_grows_over_the_limit_of_its_process(root: Path) -> None:
    def work() -> int:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (MIB, MIB))
        with opened(root / "file") as file:
            for grow in (
                lambda: os.pwrite(file, b"x", MIB),
                lambda: os.ftruncate(file, MIB + 1),
                lambda: os.posix_fallocate(file, 0, 2 * MIB),
            ):
                with fails(errno.EFBIG):
                    grow()
            os.pwrite(file, b"x", MIB - 1)
        return 0

    same(in_a_child(work), 0)
    same((root / "file").stat().st_size, MIB)


@case(249, 591)
def splice_carries_bytes_through_a_pipe(root: Path) -> None:
    right = pattern(300_000)
    (root / "file").write_bytes(right)
    reading, writing = os.pipe()
    with opened(root / "file", os.O_RDONLY) as source, opened(root / "copy") as target:
        at = 0
        while moved := os.splice(source, writing, 50_000, offset_src=at):
            at += moved
            while moved:
                moved -= os.splice(reading, target, moved)
    os.close(reading)
    os.close(writing)
    same((root / "copy").read_bytes() == right, True)


@case(255, 316, 420, 439)
def holes_are_punched(root: Path) -> None:
    right = bytearray(pattern(20 * PAGE))
    (root / "file").write_bytes(right)
    with opened(root / "file") as file:
        for at, length in ((0, PAGE), (2 * PAGE + 7, 10), (5 * PAGE - 3, 4 * PAGE + 6), (19 * PAGE, 9 * PAGE)):
            fallocate(file, PUNCH_HOLE | KEEP_SIZE, at, length)
            end = min(at + length, len(right))
            right[at:end] = bytes(end - at)
            same(os.fstat(file).st_size, 20 * PAGE)
            same(os.pread(file, 20 * PAGE, 0), right)
        with fails(errno.EOPNOTSUPP, errno.EINVAL):
            fallocate(file, PUNCH_HOLE, 0, PAGE)


@case(285, 436, 445, 448, 490, 539, 706)
def seeking_for_data_and_holes(root: Path) -> None:
    (root / "one").write_bytes(b"x")
    with opened(root / "one") as file:
        same(os.lseek(file, 0, os.SEEK_DATA), 0)
        same(os.lseek(file, 0, os.SEEK_HOLE), 1)
        for how in (os.SEEK_DATA, os.SEEK_HOLE):
            for place in (1, 100):
                with fails(errno.ENXIO):
                    os.lseek(file, place, how)
            with fails(errno.ENXIO, errno.EINVAL):
                os.lseek(file, -1, how)
    with opened(root / "sparse") as file:
        os.pwrite(file, b"data", 5 * MIB)
        os.ftruncate(file, 10 * MIB)
        # A file system may call holes data, and never data a hole.
        assert os.lseek(file, 0, os.SEEK_DATA) <= 5 * MIB
        assert os.lseek(file, 5 * MIB, os.SEEK_HOLE) >= 5 * MIB + 4
        same(os.lseek(file, 5 * MIB, os.SEEK_DATA), 5 * MIB)


@case(308, 525)
def far_offsets_are_read_and_written_or_refused(root: Path) -> None:
    with opened(root / "file") as file:
        os.write(file, b"x")
        same(os.pread(file, 10, 2**62), b"")
        for far in (2**63 - 2, 2**62):
            try:
                os.pwrite(file, b"y", far)
            except OSError as error:
                assert error.errno in (errno.EFBIG, errno.ENOSPC), error
                continue
            same(os.pread(file, 1, far), b"y")
        with fails(errno.EINVAL):
            os.pread(file, 10, -1)
        same(os.pread(file, 1, 0), b"x")


@case(313)
def truncation_changes_the_times(root: Path) -> None:
    (root / "file").write_bytes(b"x" * 100)
    with opened(root / "file") as file:
        for cut in (lambda: os.truncate(root / "file", 50), lambda: os.ftruncate(file, 200)):
            before = times(root / "file")
            tick()
            cut()
            after = times(root / "file")
            assert after[0] > before[0] and after[1] > before[1], f"{before} and {after}"


@case(391)
def two_write_every_other_piece(root: Path) -> None:
    pieces = 64

    def work(worker: int) -> None:
        with opened(root / "file", os.O_WRONLY | os.O_CREAT | os.O_DIRECT) as file:
            room = mmap.mmap(-1, PAGE)
            room[:] = bytes([65 + worker]) * PAGE
            for n in range(worker, pieces, 2):
                same(os.pwritev(file, [room], n * PAGE), PAGE)

    workers = [threading.Thread(target=work, args=[n]) for n in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    same((root / "file").read_bytes(), (b"A" * PAGE + b"B" * PAGE) * (pieces // 2))


@case(443)
def vectors_are_written_as_far_as_they_are_readable(root: Path) -> None:
    class Vector(ctypes.Structure):
        _fields_ = [("at", ctypes.c_void_p), ("length", ctypes.c_size_t)]

    good = ctypes.create_string_buffer(b"good", 4)
    vectors = (Vector * 2)(Vector(ctypes.addressof(good), 4), Vector(8, 4))
    with opened(root / "file") as file:
        same(checked(libc.writev(file, vectors, 2)), 4)
        with fails(errno.EFAULT):
            checked(libc.writev(file, ctypes.byref(vectors, ctypes.sizeof(Vector)), 1))
    same((root / "file").read_bytes(), b"good")


@case(452)
def a_program_runs_from_here(root: Path) -> None:
    with open("/bin/true", "rb") as true:
        (root / "true").write_bytes(true.read())
    os.chmod(root / "true", 0o755)
    same(subprocess.run([root / "true"]).returncode, 0)
    os.chmod(root / "true", 0o644)
    with fails(errno.EACCES):
        subprocess.run([root / "true"])


@case(465)
def the_end_of_what_is_appended_has_no_zeros(root: Path) -> None:
    over = threading.Event()
    wrong = []

    def read() -> None:
        with opened(root / "file") as file:
            while not over.is_set():
                found = os.pread(file, 64 * PAGE, 0)
                if found.strip(b"x"):
                    wrong.append(found[:20])

    reader = threading.Thread(target=read)
    reader.start()
    with opened(root / "file") as file:
        for _ in range(60):
            os.lseek(file, 0, os.SEEK_END)
            os.write(file, b"x" * PAGE)
    over.set()
    reader.join()
    same(wrong, [])


@case(469, 499, 511)
def what_was_behind_the_end_does_not_come_back(root: Path) -> None:
    (root / "file").write_bytes(b"x" * 3 * PAGE)
    with opened(root / "file") as file:
        os.ftruncate(file, PAGE + 100)
        with mmap.mmap(file, PAGE + 100) as mapping:
            same(mapping[PAGE:], b"x" * 100)
        fallocate(file, KEEP_SIZE | PUNCH_HOLE, PAGE, PAGE)
        os.ftruncate(file, 3 * PAGE)
        same(os.pread(file, 3 * PAGE, 0), b"x" * PAGE + bytes(2 * PAGE))


@case(609)
def what_is_written_with_dsync_is_there(root: Path) -> None:
    with opened(root / "file", os.O_RDWR | os.O_CREAT | os.O_DSYNC) as file:
        for n in range(5):
            same(os.pwrite(file, b"%d" % n * 1000, n * 1000), 1000)
        os.fsync(file)
        os.fdatasync(file)
    same((root / "file").read_bytes(), b"".join(b"%d" % n * 1000 for n in range(5)))


@case(614, 615)
def what_is_written_takes_blocks(root: Path) -> None:
    with opened(root / "file") as file:
        os.ftruncate(file, PAGE)
        with mmap.mmap(file, PAGE) as mapping:
            mapping[0:3] = b"xyz"
            mapping.flush()
            assert os.fstat(file).st_blocks > 0
        for _ in range(20):
            os.pwrite(file, b"x" * 16 * PAGE, 0)
            assert os.fstat(file).st_blocks > 0


@case(638, 639)
def small_changes_keep_the_rest_of_a_page(root: Path) -> None:
    (root / "file").write_bytes(b"a" * 7000)
    with opened(root / "file") as file:
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        os.pwrite(file, b"b", 4095)
        os.fsync(file)
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        same(os.pread(file, 8000, 0), b"a" * 4095 + b"b" + b"a" * 2904)


@case(680)
def pipes_do_not_write_into_files_that_were_spliced(root: Path) -> None:
    (root / "file").write_bytes(b"secret" * 1000)
    os.chmod(root / "file", 0o444)
    os.chmod(root, 0o755)

    def work() -> None:
        reading, writing = os.pipe()
        with opened(root / "file", os.O_RDONLY) as file:
            os.splice(file, writing, 1, offset_src=0)
            os.write(writing, b"public")
            os.read(reading, 100)

    as_user(USER, work)
    same((root / "file").read_bytes(), b"secret" * 1000)


@case(688)
def allocating_clears_setuid(root: Path) -> None:
    os.chmod(root, 0o777)
    (root / "file").write_bytes(b"x" * 100)
    os.chmod(root / "file", 0o6777)

    def work() -> None:
        with opened(root / "file", os.O_RDWR) as file:
            os.posix_fallocate(file, 0, 2 * PAGE)

    as_user(USER, work)
    same(stat.S_IMODE((root / "file").stat().st_mode), 0o777)


@case(763)
def writes_of_nothing_succeed(root: Path) -> None:
    with opened(root / "file") as file:
        same(os.write(file, b""), 0)
        same(os.pwrite(file, b"", 1000), 0)
        same(os.fstat(file).st_size, 0)
