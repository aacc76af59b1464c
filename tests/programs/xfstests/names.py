"""Names, directories, links, permissions and times."""

import ctypes
import errno
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path

from .case import (
    EXCHANGE,
    NOREPLACE,
    OTHER,
    USER,
    WHITEOUT,
    as_user,
    case,
    checked,
    fails,
    libc,
    link_opened,
    opened,
    rename,
    same,
    tick,
    times,
)


@case(1)
def chains_of_copies_are_like_their_beginning(root: Path) -> None:
    for chain in range(5):
        bytes_ = os.urandom(10_000 * chain + 7)
        (root / f"{chain}.0").write_bytes(bytes_)
        for link in range(1, 8):
            (root / f"{chain}.{link}").write_bytes((root / f"{chain}.{link - 1}").read_bytes())
        same((root / f"{chain}.7").read_bytes(), bytes_)


@case(2)
def links_are_counted(root: Path) -> None:
    (root / "file").write_bytes(b"x")
    for n in range(1, 20):
        os.link(root / "file", root / f"link {n}")
        same((root / "file").stat().st_nlink, n + 1)
    for n in range(1, 20):
        os.unlink(root / f"link {n}")
        same((root / "file").stat().st_nlink, 20 - n)


@case(4, 531)
def files_without_names_can_be_given_one(root: Path) -> None:
    files = [os.open(root, os.O_TMPFILE | os.O_RDWR, 0o600) for _ in range(50)]
    same(os.listdir(root), [])
    os.write(files[0], b"found")
    link_opened(files[0], root / "named")
    for file in files:
        os.close(file)
    same((root / "named").read_bytes(), b"found")


@case(5)
def circles_of_links_end(root: Path) -> None:
    os.symlink("other", root / "one")
    os.symlink("one", root / "other")
    os.symlink("itself", root / "itself")
    for name in ("one", "other", "itself"):
        with fails(errno.ELOOP):
            open(root / name)
    os.symlink("nothing", root / "empty")
    (root / "empty").write_bytes(b"made through a link")
    same((root / "nothing").read_bytes(), b"made through a link")


@case(6)
def many_names_of_two_letters_are_made_and_deleted(root: Path) -> None:
    letters = "abcdefghijklmnop"
    names = {a + b for a in letters for b in letters}
    for name in names:
        (root / name).touch()
    same(set(os.listdir(root)), names)
    for name in names:
        (root / name).unlink()
    same(os.listdir(root), [])


@case(7)
def errors_of_names_are_the_right_ones(root: Path) -> None:
    there = set()
    for n in range(600):
        name = f"{n * 7919 % 40}"
        path = root / name
        if n * 104729 % 3 == 0:
            if name in there:
                path.unlink()
                there.discard(name)
            else:
                with fails(errno.ENOENT):
                    path.unlink()
        elif n % 3 == 1:
            with opened(path, os.O_CREAT | os.O_WRONLY):
                there.add(name)
        else:
            same(path.exists(), name in there)
    same(set(os.listdir(root)), there)


@case(11)
def directories_are_made_and_deleted_by_several_at_once(root: Path) -> None:
    wrong = []

    def work(worker: int) -> None:
        try:
            for round_ in range(5):
                folder = root / f"{worker}.{round_}"
                folder.mkdir()
                for n in range(20):
                    (folder / f"{n}").mkdir()
                    (folder / f"{n}" / "file").touch()
                for n in range(20):
                    (folder / f"{n}" / "file").unlink()
                    (folder / f"{n}").rmdir()
                folder.rmdir()
        except BaseException as error:  # noqa: BLE001 - told below
            wrong.append(error)

    workers = [threading.Thread(target=work, args=[n]) for n in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    same(wrong, [])


@case(23)
def what_may_be_renamed_over_what(root: Path) -> None:
    def make(path: Path, kind: str) -> None:
        if kind == "file":
            path.write_bytes(path.name.encode())
        elif kind != "none":
            path.mkdir()
            if kind == "tree":
                (path / f"below {path.name}").touch()

    wanted = {
        ("file", "dir"): errno.EISDIR,
        ("file", "tree"): errno.EISDIR,
        ("dir", "file"): errno.ENOTDIR,
        ("tree", "file"): errno.ENOTDIR,
        ("dir", "tree"): errno.ENOTEMPTY,
        ("tree", "tree"): errno.ENOTEMPTY,
        ("none", "file"): errno.ENOENT,
        ("none", "none"): errno.ENOENT,
    }
    for old in ("none", "file", "dir", "tree"):
        for new in ("none", "file", "dir", "tree"):
            folder = root / f"{old} {new}"
            folder.mkdir()
            make(folder / "old", old)
            make(folder / "new", new)
            code = wanted.get((old, new), errno.ENOENT if old == "none" else 0)
            if code:
                with fails(code, *([errno.EEXIST] if code == errno.ENOTEMPTY else [])):
                    os.rename(folder / "old", folder / "new")
            else:
                os.rename(folder / "old", folder / "new")
                same(os.listdir(folder), ["new"])


@case(24)
def noreplace_replaces_nothing(root: Path) -> None:
    (root / "old").write_bytes(b"old")
    (root / "there").write_bytes(b"there")
    with fails(errno.EEXIST):
        rename(root / "old", root / "there", NOREPLACE)
    same((root / "there").read_bytes(), b"there")
    rename(root / "old", root / "new", NOREPLACE)
    same(sorted(os.listdir(root)), ["new", "there"])


@case(25)
def exchange_exchanges_files_and_directories(root: Path) -> None:
    (root / "file").write_bytes(b"file")
    (root / "other").write_bytes(b"other")
    rename(root / "file", root / "other", EXCHANGE)
    same((root / "file").read_bytes(), b"other")
    (root / "dir").mkdir()
    (root / "dir/below").write_bytes(b"below")
    rename(root / "file", root / "dir", EXCHANGE)
    same((root / "file/below").read_bytes(), b"below")
    with fails(errno.ENOENT):
        rename(root / "file", root / "nothing", EXCHANGE)


@case(28)
def getcwd_is_right_while_names_change(root: Path) -> None:
    (root / "here").mkdir()
    before, is_over = os.getcwd(), threading.Event()

    def change() -> None:
        while not is_over.is_set():
            (root / "x").touch()
            os.rename(root / "x", root / "y")

    changing = threading.Thread(target=change)
    os.chdir(root / "here")
    try:
        changing.start()
        for _ in range(2000):
            same(os.getcwd(), str((root / "here").resolve()))
    finally:
        is_over.set()
        changing.join()
        os.chdir(before)


@case(35)
def a_file_that_is_renamed_over_has_no_links_left(root: Path) -> None:
    (root / "new").write_bytes(b"new")
    (root / "old").write_bytes(b"old")
    with opened(root / "old", os.O_RDONLY) as file:
        os.rename(root / "new", root / "old")
        same(os.fstat(file).st_nlink, 0)
        same(os.read(file, 10), b"old")


@case(35)
def a_directory_that_is_renamed_over_has_no_links_left(root: Path) -> None:
    (root / "a").mkdir()
    (root / "b").mkdir()
    with opened(root / "b", os.O_RDONLY) as file:
        os.rename(root / "a", root / "b")
        same(os.fstat(file).st_nlink, 0)


@case(78)
def a_rename_may_leave_a_whiteout(root: Path) -> None:
    (root / "old").write_bytes(b"old")
    rename(root / "old", root / "new", WHITEOUT)
    same((root / "new").read_bytes(), b"old")
    assert stat.S_ISCHR((root / "old").lstat().st_mode)


@case(84)
def what_is_deleted_gets_no_link(root: Path) -> None:
    (root / "file").write_bytes(b"x")
    with opened(root / "file") as file:
        os.unlink(root / "file")
        with fails(errno.ENOENT):
            link_opened(file, root / "again")


@case(87)
def who_does_not_own_a_file_may_not_change_it(root: Path) -> None:
    os.chmod(root, 0o777)
    (root / "file").write_bytes(b"x")
    os.chown(root / "file", USER, USER)
    os.chmod(root / "file", 0o644)

    def stranger() -> None:
        for change in (
            lambda: os.chmod(root / "file", 0o777),
            lambda: os.chown(root / "file", OTHER, OTHER),
            lambda: os.utime(root / "file", (1, 1)),
        ):
            with fails(errno.EPERM):
                change()
        with fails(errno.EACCES):
            os.utime(root / "file")
        with fails(errno.EACCES):
            open(root / "file", "a")

    as_user(OTHER, stranger)

    def owner() -> None:
        os.utime(root / "file", (1, 1))
        os.chmod(root / "file", 0o600)
        with fails(errno.EPERM):
            os.chown(root / "file", OTHER, -1)

    as_user(USER, owner)
    same(stat.S_IMODE((root / "file").stat().st_mode), 0o600)


@case(88)
def root_may_read_and_write_whatever_the_mode(root: Path) -> None:
    (root / "file").write_bytes(b"x")
    os.chmod(root / "file", 0o000)
    same([os.access(root / "file", how) for how in (os.R_OK, os.W_OK, os.X_OK)], [True, True, False])
    same((root / "file").read_bytes(), b"x")


@case(123, 126)
def each_class_of_users_may_do_what_its_bits_say(root: Path) -> None:
    os.chmod(root, 0o755)
    for mode in (0o700, 0o070, 0o007, 0o400, 0o040, 0o004):
        path = root / f"{mode:o}"
        path.write_bytes(b"x")
        os.chown(path, USER, OTHER)
        os.chmod(path, mode)

    def may(class_: int) -> list[bool]:
        return [
            os.access(root / f"{mode:o}", os.R_OK) == bool(mode >> class_ & 4)
            for mode in (0o700, 0o070, 0o007, 0o400, 0o040, 0o004)
        ]

    # The owner, the group, and others.
    for user, class_ in ((USER, 6), (OTHER, 3), (65534, 0)):
        as_user(user, lambda class_=class_: same(may(class_), [True] * 6))
    as_user(USER, lambda: same(os.access(root, os.W_OK), False))


@case(184)
def pipes_and_files_that_mknod_makes_work(root: Path) -> None:
    os.mkfifo(root / "pipe")
    os.mknod(root / "file", 0o644 | stat.S_IFREG)
    assert stat.S_ISFIFO((root / "pipe").stat().st_mode)
    (root / "file").write_bytes(b"x")
    with opened(root / "pipe", os.O_RDWR) as pipe:
        os.write(pipe, b"through")
        same(os.read(pipe, 10), b"through")


@case(184)
def devices_that_mknod_makes_work(root: Path) -> None:
    os.mknod(root / "null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    (root / "null").write_bytes(b"gone")
    same((root / "null").read_bytes(), b"")


def set_id_after(path: Path, change: Callable[[], None], user: int) -> int:
    """The mode of a file with all bits after somebody has changed it."""
    os.chmod(path.parent, 0o777)
    path.write_bytes(b"x" * 100)
    os.chown(path, USER, USER)
    os.chmod(path, 0o6777)
    as_user(user, change)
    return stat.S_IMODE(path.stat().st_mode)


@case(193)
def who_gives_a_file_away_clears_setuid(root: Path) -> None:
    path = root / "file"
    same(oct(set_id_after(path, lambda: os.chown(path, USER, OTHER), 0)), "0o777")


@case(193, 355)
def who_writes_into_a_file_or_cuts_it_clears_setuid(root: Path) -> None:
    path = root / "file"

    def write() -> None:
        with opened(path, os.O_WRONLY) as file:
            os.write(file, b"y")

    same(oct(set_id_after(path, write, OTHER)), "0o777")
    same(oct(set_id_after(path, lambda: os.truncate(path, 10), OTHER)), "0o777")


@case(221)
def futimens_changes_ctime(root: Path) -> None:
    (root / "file").write_bytes(b"x")
    before = times(root / "file")
    tick()
    os.utime(root / "file", ns=(1_000, before[0]))
    after = times(root / "file")
    same(after[0], before[0])
    assert after[1] > before[1], "the same ctime"


@case(236, 755)
def links_and_their_end_change_ctime(root: Path) -> None:
    (root / "file").write_bytes(b"x")
    for change in (
        lambda: os.link(root / "file", root / "link"),
        lambda: os.unlink(root / "link"),
    ):
        before = times(root / "file")
        tick()
        change()
        after = times(root / "file")
        assert after[1] > before[1], "the same ctime"
        same(after[0], before[0])


@case(245)
def no_directory_is_renamed_over_one_with_names(root: Path) -> None:
    for name in "ab":
        (root / name).mkdir()
        (root / name / f"file of {name}").write_text(name)
    with fails(errno.ENOTEMPTY, errno.EEXIST):
        os.rename(root / "a", root / "b")
    same([os.listdir(root / name) for name in "ab"], [["file of a"], ["file of b"]])


@case(257, 676)
def directories_are_read_on_from_where_one_was(root: Path) -> None:
    for n in range(150):
        (root / f"{n}").touch()
    libc.opendir.restype = libc.readdir.restype = ctypes.c_void_p
    libc.telldir.restype = ctypes.c_long
    libc.readdir.argtypes = libc.telldir.argtypes = libc.closedir.argtypes = [ctypes.c_void_p]
    libc.seekdir.argtypes = [ctypes.c_void_p, ctypes.c_long]
    folder = libc.opendir(os.fsencode(root))

    def name(entry: int) -> bytes:
        # struct dirent: inode, offset, length, kind, name.
        return ctypes.string_at(entry + 19)

    try:
        places, read = [], []
        while True:
            place = libc.telldir(folder)
            entry = libc.readdir(folder)
            if not entry:
                break
            places.append(place)
            read.append(name(entry))
        same(len(set(read)), 152)
        for n in (0, 5, 75, 149, 151, 2):
            libc.seekdir(folder, places[n])
            same(name(libc.readdir(folder)), read[n])
    finally:
        libc.closedir(folder)


@case(258, 402, 634)
def times_are_kept_from_1902_to_2400(root: Path) -> None:
    (root / "file").touch()
    for seconds in (-(2**31), -1, 0, 1, 2**31, 2**32 + 5, 13_569_465_600):
        os.utime(root / "file", (seconds, seconds))
        told = (root / "file").stat()
        same((told.st_atime, told.st_mtime), (seconds, seconds))


@case(309)
def a_file_that_is_replaced_changes_the_times_of_its_directory(root: Path) -> None:
    (root / "dir").mkdir()
    (root / "dir/file").touch()
    (root / "file").touch()
    before = times(root / "dir")
    tick()
    os.rename(root / "file", root / "dir/file")
    after = times(root / "dir")
    assert after[0] > before[0] and after[1] > before[1], f"{before} and {after}"


@case(314, 444)
def what_is_made_in_a_setgid_directory_has_its_group(root: Path) -> None:
    (root / "dir").mkdir()
    os.chown(root / "dir", USER, OTHER)
    os.chmod(root / "dir", 0o2777)
    (root / "dir/below").mkdir()
    (root / "dir/file").touch()
    same((root / "dir/below").stat().st_gid, OTHER)
    same((root / "dir/file").stat().st_gid, OTHER)
    assert (root / "dir/below").stat().st_mode & stat.S_ISGID


@case(360)
def a_link_holds_a_path_of_4095_bytes(root: Path) -> None:
    for length in (1, 255, 1024, 4095):
        os.symlink("x" * length, root / f"{length}")
        same(os.readlink(root / f"{length}"), "x" * length)
        same((root / f"{length}").lstat().st_size, length)
    with fails(errno.ENAMETOOLONG):
        os.symlink("x" * 4096, root / "longer")


@case(378)
def a_link_has_the_rights_of_the_file(root: Path) -> None:
    os.chmod(root, 0o777)
    (root / "file").write_bytes(b"x")
    os.chmod(root / "file", 0o600)
    os.link(root / "file", root / "link")
    for name in ("file", "link"):
        as_user(USER, lambda name=name: same(os.access(root / name, os.R_OK), False))
    os.chmod(root / "link", 0o644)
    as_user(USER, lambda: same((root / "file").read_bytes(), b"x"))


@case(401)
def directories_say_what_kind_a_name_is_of(root: Path) -> None:
    (root / "file").touch()
    (root / "dir").mkdir()
    os.symlink("file", root / "link")
    os.mkfifo(root / "pipe")
    itself = {"follow_symlinks": False}
    with os.scandir(root) as entries:
        kinds = {e.name: (e.is_file(**itself), e.is_dir(**itself), e.is_symlink()) for e in entries}
    same(kinds, {
        "file": (True, False, False),
        "dir": (False, True, False),
        "link": (False, False, True),
        "pipe": (False, False, False),
    })


@case(423, 528)
def stat_tells_kind_size_links_and_owner(root: Path) -> None:
    (root / "file").write_bytes(b"x" * 5000)
    os.chmod(root / "file", 0o640)
    told = (root / "file").stat()
    same((told.st_size, told.st_nlink, oct(told.st_mode)), (5000, 1, "0o100640"))
    assert told.st_blocks * 512 >= 4096, told
    same((told.st_uid, told.st_gid), (os.getuid(), os.getgid()))
    (root / "dir").mkdir(mode=0o700)
    same(oct((root / "dir").stat().st_mode), "0o40700")


@case(453)
def names_that_look_alike_are_different(root: Path) -> None:
    names = ["\u00e9", "e\u0301", "\u212b", "\u00c5", "a\u200bb", "ab", "\u0430", "a", "\ufb01", "fi"]
    for n, name in enumerate(names):
        (root / name).write_bytes(b"%d" % n)
    same(sorted(os.listdir(root)), sorted(names))
    same([(root / name).read_bytes() for name in names], [b"%d" % n for n in range(len(names))])


@case(471)
def what_was_made_since_is_seen_after_rewinddir(root: Path) -> None:
    (root / "first").touch()
    with opened(root, os.O_RDONLY) as folder:
        same(os.listdir(folder), ["first"])
        for n in range(50):
            (root / f"{n}").touch()
        # listdir of a descriptor begins at its beginning each time.
        same(len(os.listdir(folder)), 51)


@case(488)
def hundreds_of_deleted_files_stay_open(root: Path) -> None:
    files = []
    for n in range(200):
        files.append(os.open(root / f"{n}", os.O_RDWR | os.O_CREAT))
        os.write(files[-1], b"%d" % n)
        os.unlink(root / f"{n}")
    same(os.listdir(root), [])
    for n, file in enumerate(files):
        same(os.pread(file, 10, 0), b"%d" % n)
        os.close(file)


@case(637, 736)
def names_that_change_while_a_directory_is_read_are_told_at_most_once(root: Path) -> None:
    for n in range(200):
        (root / f"{n}").touch()
    seen = []
    with os.scandir(root) as entries:
        for n, entry in enumerate(entries):
            seen.append(entry.name)
            assert n < 5000, "it does not end"
            if entry.name.isdigit():
                os.rename(root / entry.name, root / f"{entry.name} moved")
    same(len(seen), len(set(seen)))
    assert len({name.removesuffix(" moved") for name in seen}) == 200, "some were never told"
    same(len(os.listdir(root)), 200)


@case(597, 598)
def a_sticky_directory_keeps_files_from_strangers(root: Path) -> None:
    (root / "dir").mkdir()
    os.chmod(root / "dir", 0o1777)
    (root / "dir/file").write_bytes(b"x")
    os.chown(root / "dir/file", USER, USER)

    def stranger() -> None:
        with fails(errno.EPERM):
            os.unlink(root / "dir/file")
        with fails(errno.EPERM):
            os.rename(root / "dir/file", root / "dir/other")

    as_user(OTHER, stranger)
    as_user(USER, lambda: os.unlink(root / "dir/file"))


@case(426, 467)
def a_file_is_found_by_its_handle(root: Path) -> None:
    class Handle(ctypes.Structure):
        _fields_ = [("size", ctypes.c_uint), ("kind", ctypes.c_int), ("bytes", ctypes.c_ubyte * 128)]

    (root / "file").write_bytes(b"by its handle")
    handle, mount = Handle(size=128), ctypes.c_int()
    path = os.fsencode(root / "file")
    checked(libc.name_to_handle_at(-100, path, ctypes.byref(handle), ctypes.byref(mount), 0))
    with opened(root, os.O_RDONLY) as folder:
        file = checked(libc.open_by_handle_at(folder, ctypes.byref(handle), os.O_RDONLY))
    same(os.read(file, 20), b"by its handle")
    os.close(file)
