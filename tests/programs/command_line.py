"""Programs that are run with a file name, most of them from Debian."""

import json
from pathlib import Path

from result import BAND, command, contents, digest

BIG = "tree/1/three megabytes.bin"


def lines(output: bytes) -> list[str]:
    return sorted(output.decode().splitlines())


def tar(root: Path, scratch: Path) -> dict:
    """Archives a folder of the mount, and unpacks an archive that lies in it."""
    packed = command(
        "tar", "--create", "--sort=name", "--mtime=@0", "--owner=0", "--group=0",
        "--numeric-owner", "--mode=a=rX", "tree", cwd=root,
    )  # fmt: skip
    command("tar", "--extract", "--file", root / "archives/tree.tar", cwd=scratch)
    one = "tree/3/11/note 239.txt"
    return {
        **contents(scratch),
        "packed": digest(packed),
        "listed": lines(command("tar", "--list", "--file", root / "archives/tree.tar")),
        "one": digest(command("tar", "-xOf", root / "archives/tree.tar", one)),
    }


def rsync(root: Path, scratch: Path) -> dict:
    """Copies with -a; then neither sizes and times nor checksums find a change."""
    command("rsync", "-a", f"{root}/", scratch)
    dry = ["rsync", "-a", "--dry-run", "--itemize-changes", "--delete"]
    for how in ([], ["--checksum"]):
        changes = command(*dry, *how, f"{root}/", scratch)
        if changes:
            raise RuntimeError(f"rsync {how} sees changes in {root}: {changes.decode()}")
    return contents(scratch)


def cp(root: Path, scratch: Path) -> dict:
    command("cp", "-r", root, scratch / "copy")
    command("diff", "-r", root, scratch / "copy")
    command("cp", "-a", "--sparse=always", root / BIG, scratch / "sparse")
    command("cmp", root / BIG, scratch / "sparse")
    return contents(scratch)


def dd(root: Path, scratch: Path) -> dict:
    def part(*how: str) -> str:
        return digest(command("dd", f"if={root / BIG}", "status=none", *how))

    return {
        "blocks": part("bs=64K", "skip=7", "count=9"),
        "bytes": part("bs=1", "skip=1234567", "count=3000"),
        "odd blocks": part("bs=4097", "skip=100"),
        "across the end": part("bs=1M", "skip=2", "count=5"),
    }


def md5sum(root: Path, scratch: Path) -> dict:
    sums = command("find", ".", "-type", "f", "-exec", "md5sum", "{}", "+", cwd=root)
    return {"sums": lines(sums)}


def grep(root: Path, scratch: Path) -> dict:
    return {
        "files": lines(command("grep", "-rlF", "the needle", "tree", cwd=root)),
        "lines": lines(command("grep", "-rn", "line 23[0-9] of", "tree", cwd=root)),
        "binary": lines(command("grep", "-rc", "-e", "a", "tree", cwd=root)),
    }


def find(root: Path, scratch: Path) -> dict:
    # Directories have sizes of their own in each file system; files do not.
    return {
        "files": lines(command("find", ".", "-type", "f", "-printf", "%s %P\\n", cwd=root)),
        "folders": lines(command("find", ".", "-type", "d", "-printf", "%P\\n", cwd=root)),
        "large": lines(command("find", ".", "-size", "+1M", cwd=root)),
        "empty": lines(command("find", ".", "-empty", cwd=root)),
        "ls": lines(command("ls", "-1RA", "tree", cwd=root)),
        "bytes": lines(command("du", "--bytes", root / BIG))[0].split("\t")[0],
    }


def coreutils(root: Path, scratch: Path) -> dict:
    picture = root / "images/photo.png"
    return {
        "wc": command("wc", BIG, cwd=root).decode(),
        "head": digest(command("head", "-c", "1000", picture)),
        "tail": digest(command("tail", "-c", "70000", picture)),
        "cat": digest(command("cat", picture, root / "tree/empty", root / BIG)),
        "sort": digest(command("sort", "-r", root / "tree/3/11/note 239.txt")),
        "test": command("stat", "-c", "%s %F", "tree/empty", BIG, cwd=root).decode(),
    }


def opj_decompress(root: Path, scratch: Path) -> dict:
    band, photo = scratch / "band.pgx", scratch / "photo.bmp"
    command("opj_decompress", "-i", root / BAND, "-r", "3", "-o", band)
    command("opj_decompress", "-i", root / "images/photo.jp2", "-o", photo)
    # One file for each component of the band.
    made = {path.name: digest(path.read_bytes()) for path in sorted(scratch.iterdir())}
    if len(made) < 2:
        raise RuntimeError(f"opj_decompress made {made}")
    return made


def ffprobe(root: Path, scratch: Path) -> dict:
    results = {}
    for name in ["media/clip.mp4", "media/tone.wav"]:
        # From inside the root, so that its path is not part of the answer.
        answer = command(
            "ffprobe", "-v", "error", "-count_frames", "-show_format", "-show_streams",
            "-of", "json", name, cwd=root,
        )  # fmt: skip
        results[name] = json.loads(answer)
        if not results[name].get("streams"):
            raise RuntimeError(f"ffprobe sees no stream in {root / name}")
    results["decoded"] = command(
        "ffmpeg", "-v", "error", "-nostdin", "-i", root / "media/clip.mp4", "-f", "md5", "-"
    ).decode()
    return results


def imagemagick(root: Path, scratch: Path) -> dict:
    # %# is a digest of the pixels.
    return {
        name: command("identify", "-format", "%m %w %h %z %#", root / name).decode()
        for name in ["images/photo.png", "images/photo.jpg", "images/a name with spaces.png"]
    }


def gdalinfo(root: Path, scratch: Path) -> dict:
    return {
        name: json.loads(command("gdalinfo", "-json", "-checksum", name, cwd=root))
        for name in ["images/scene.tif", BAND]
    }


def sqlite_shell(root: Path, scratch: Path) -> dict:
    query = "select name, height from station where id % 997 = 3 order by name"
    return {
        "rows": lines(command("sqlite3", "-readonly", root / "data/stations.sqlite", query)),
        "dump": digest(command("sqlite3", "-readonly", root / "data/stations.sqlite", ".dump")),
    }


PROGRAMS = {
    "tar": tar,
    "rsync": rsync,
    "cp": cp,
    "dd": dd,
    "md5sum": md5sum,
    "grep": grep,
    "find": find,
    "coreutils": coreutils,
    "opj_decompress": opj_decompress,
    "ffprobe": ffprobe,
    "imagemagick": imagemagick,
    "gdalinfo": gdalinfo,
    "sqlite3": sqlite_shell,
}
