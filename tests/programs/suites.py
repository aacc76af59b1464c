"""Test suites of file systems, which know by themselves what is right."""

import os
import re
import shutil
import string
import subprocess
from pathlib import Path

import xfstests
from result import IN_A_BUCKET, NotInstalled, command

HERE = Path(__file__).parent
FULL_SIZE = os.environ.get("S3MEM_TEST_FULL_SIZE") == "1"

# How often fsx does what, in proportion.
WEIGHTS = {
    "close_open": 1,
    "read": 10,
    "write": 10,
    "mapread": 10,
    "mapwrite": 10,
    "invalidate": 1,
    "truncate": 5,
    "fsync": 1,
    "fdatasync": 1,
    "posix_fallocate": 2,
    "punch_hole": 5,
    "sendfile": 5,
    "posix_fadvise": 2,
    "copy_file_range": 5,
}
# One run of fsx does so many operations: it leaves some of its mappings, and may have
# no more than 65,530 of them; with many each truncation takes long.
AT_ONCE = 5_000 if IN_A_BUCKET else 25_000
MAPPING = ["mapread", "mapwrite", "invalidate"]
# What pjdfstest has tests of.
CALLS = [
    *["chmod", "chown", "ftruncate", "link", "mkdir", "mkfifo", "mknod", "open"],
    *["posix_fallocate", "rename", "rmdir", "symlink", "truncate", "unlink", "utimensat"],
]
# These run a program that sleeps for ten seconds, and look at its file meanwhile. On a
# machine that stalls for as long they find it idle; they are run again then, by themselves.
BUSY_FOR_TEN_SECONDS = {"open::etxtbsy", "truncate::etxtbsy", "ftruncate::etxtbsy"}


# How many cases of pjdfstest pass, are skipped for want of what a mount does not have, and
# are expected to fail.
IN_MEMORY = {"passed": 295, "skipped": 16, "expected": 87}
PJDFSTEST = {"passed": 145, "skipped": 16, "expected": 236} if IN_A_BUCKET else IN_MEMORY


def fsx(root: Path, scratch: Path, weights: dict = WEIGHTS) -> dict:
    """Random operations on one file, compared with what its bytes must be."""
    lines = ["flen = 1048576", "[opsize]", "max = 131072", "[weights]"]
    lines += [f"{name} = {weight}" for name, weight in weights.items()]
    (scratch / "fsx.toml").write_text("\n".join(lines) + "\n")
    # Into a bucket what synchronises takes a request.
    operations = (1_000_000 if FULL_SIZE else 100_000) // (10 if IN_A_BUCKET else 1)
    # Half of them on a file that is made, half on one that was an object of the bucket.
    was_object = next(p for p in sorted(root.rglob("*.bin")) if p.stat().st_size > 1_000_000)
    files = [root / "fsx file", was_object]
    done = seed = 0
    while done < operations:
        options = ["-q", "-f", scratch / "fsx.toml", "-P", scratch, "-N", AT_ONCE, "-S", seed]
        done += fsx_once(*options, files[seed % 2])
        seed += 1
    return {"operations": done}


def fsx_once(*options: object) -> int:
    """How many operations were done: all, or those before an allocation of no bytes. fsx
    takes the EINVAL of that for a file system that can't allocate, and ends."""
    try:
        command("fsx", *options, seconds=600)
        return AT_ONCE
    except RuntimeError as error:
        last = re.findall(r"(\d+) (\w+) .*?\( *0x([0-9a-f]+) bytes\)", str(error))[-1:]
        if not last or last[0][1:] != ("POSIX_FALLOCATE", "0"):
            raise
        return int(last[0][0])


def fsx_without_mmap(root: Path, scratch: Path) -> dict:
    return fsx(root, scratch, {**WEIGHTS, **dict.fromkeys(MAPPING, 0)})


def run_pjdfstest(*options: object) -> subprocess.CompletedProcess:
    return subprocess.run(
        ["pjdfstest", *options], capture_output=True, check=False, timeout=900, text=True
    )


def pjdfstest(root: Path, scratch: Path) -> dict:
    """What POSIX says of names, permissions and times; pjdfstest.toml says what is left out."""
    if os.geteuid() != 0:
        raise NotInstalled("root, who can be any user,")
    os.umask(0)
    what = "pjdfstest-bucket.toml" if IN_A_BUCKET else "pjdfstest.toml"
    options = ["-c", HERE / what, "-p", root]
    if IN_A_BUCKET:
        # All but open::interact_2gb: the server of the tests keeps objects in memory.
        options += [f"{call}::" for call in CALLS if call != "open"]
        options += [f"open::{letter}" for letter in string.ascii_lowercase if letter != "i"]
    if shutil.which("pjdfstest") is None:
        raise NotInstalled("pjdfstest")
    done = run_pjdfstest(*options)
    found = {name: int(n) for n, name in re.findall(r"(\d+) (passed|skipped|expected)", done.stdout)}
    failed = set(re.findall(r"^(\S+)\s+(?:FAILED|PASSED UNEXPECTEDLY)$", done.stdout, re.M))
    if failed and failed <= BUSY_FOR_TEN_SECONDS:
        done = run_pjdfstest("-c", HERE / what, "-p", root, *sorted(failed))
        if f"{len(failed)} passed" not in done.stdout:
            raise RuntimeError(f"run again: {done.stdout[-400:]}{done.stderr}")
        found["passed"] += len(failed)
    # A test's name, and below it what it found; the stack is of no interest.
    wrong = re.findall(r"^.*(?:FAILED|PASSED UNEXPECTEDLY)\n(?:\t.*\n| .*\n){0,3}", done.stdout, re.M)
    if done.returncode != 0:
        raise RuntimeError(f"{''.join(wrong)}{done.stdout[-200:]}{done.stderr}")
    if found != PJDFSTEST:
        raise RuntimeError(f"{found} cases, and not {PJDFSTEST}")
    return found


def generic(root: Path, scratch: Path) -> dict:
    """What xfstests asks of any file system, in our own words."""
    if os.geteuid() != 0:
        raise NotInstalled("root, who can be any user,")
    # All of it is right on a file system that is not ours.
    (scratch / "local").mkdir()
    scratch.chmod(0o755)
    if wrong := xfstests.run(scratch / "local", {}):
        raise RuntimeError(f"on a local file system: {wrong}")
    (root / "generic").mkdir()
    wrong = xfstests.run(root / "generic", xfstests.expected(IN_A_BUCKET))
    (root / "generic").rmdir()
    if wrong:
        raise RuntimeError("\n".join(f"{name}: {why}" for name, why in wrong.items()))
    return xfstests.counts(IN_A_BUCKET)


PROGRAMS = {
    "fsx": fsx,
    "fsx without mmap": fsx_without_mmap,
    "pjdfstest": pjdfstest,
    "xfstests": generic,
}
# After these the bucket is as it was before; nothing has to be run on a copy.
LEAVING_NOTHING = {"pjdfstest", "xfstests"}
