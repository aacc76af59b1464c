"""Programs that write: into the mount, and into a copy of what is in the bucket.

Each is given a root with the same files in it, which it may change as it likes,
and tells what is there afterwards.
"""

import os
import re
import shutil
import sqlite3
import subprocess
import threading
from pathlib import Path

import h5py
import numpy as np
import rasterio
from PIL import Image
from rasterio.enums import Resampling
from rasterio.transform import from_origin

from result import IN_A_BUCKET, NotInstalled, command, contents, digest

FULL_SIZE = os.environ.get("S3MEM_TEST_FULL_SIZE") == "1"


def ramp(height: int, width: int, bands: int = 1) -> np.ndarray:
    """Pixels that are all over the place and the same in every run."""
    numbers = np.arange(height * width * bands, dtype=np.uint64)
    return (numbers * 2654435761 >> np.uint64(13)).astype(np.uint8).reshape(height, width, bands)


def pillow(root: Path, scratch: Path) -> dict:
    image = Image.fromarray(ramp(300, 400, 3))
    results = {}
    for name, options in {
        "new.png": {},
        "new.jpg": {"quality": 90},
        "new.tif": {"compression": "tiff_deflate"},
        "new.gif": {"save_all": True, "append_images": [image.rotate(90)]},
        "new.webp": {"lossless": True},
        "new.bmp": {},
        # Over an object of the bucket.
        "images/photo.png": {},
    }.items():
        image.save(root / name, **options)
        with Image.open(root / name) as again:
            again.load()
            results[name] = f"{again.format} {again.mode} {digest(again.tobytes())}"
        results[f"bytes of {name}"] = digest((root / name).read_bytes())
    with Image.open(root / "images/photo.jpg") as photo:
        photo.thumbnail((64, 64))
        photo.save(root / "images/photo.jpg")
    results["in place"] = digest((root / "images/photo.jpg").read_bytes())
    return results


def geotiff(root: Path, scratch: Path) -> dict:
    path = root / "new.tif"
    profile = {
        "driver": "GTiff",
        "width": 1500,
        "height": 1100,
        "count": 2,
        "dtype": "uint8",
        "crs": "EPSG:32610",
        "transform": from_origin(500000, 4100000, 10, 10),
        "tiled": True,
        "compress": "deflate",
    }
    pixels = np.moveaxis(ramp(1100, 1500, 2), 2, 0)
    with rasterio.open(path, "w", **profile) as file:
        file.write(pixels)
    with rasterio.open(path, "r+") as file:
        file.build_overviews([2, 4, 8], Resampling.average)
        file.update_tags(ns="rio_overview", resampling="average")
        file.write(255 - pixels[:, :100, :100], window=((0, 100), (0, 100)))
    results = {}
    with rasterio.open(path) as file:
        results["profile"] = str(sorted((k, str(v)) for k, v in file.profile.items()))
        results["overviews"] = str(file.overviews(1))
        results["pixels"] = digest(file.read().tobytes())
        results["smaller"] = digest(file.read(out_shape=(2, 275, 375)).tobytes())
    # Statistics of a file that can't hold them go into a file beside it.
    scene = root / "images/photo.png"
    command("gdalinfo", "-stats", scene)
    results["aux.xml"] = digest((root / "images/photo.png.aux.xml").read_bytes())
    results["gdalinfo"] = digest(command("gdalinfo", "-json", "images/photo.png", cwd=root))
    command("gdal_translate", "-q", "-of", "COG", path, root / "cog.tif")
    results["cog"] = digest((root / "cog.tif").read_bytes())
    return results


def hdf5(root: Path, scratch: Path) -> dict:
    os.environ.setdefault("HDF5_USE_FILE_LOCKING", "TRUE")
    path = root / "new.h5"
    rows = ramp(1000, 64)[:, :, 0]
    with h5py.File(path, "w") as file:
        options = {"maxshape": (None, 64), "chunks": (100, 64), "compression": "gzip"}
        file.create_dataset("rows", data=rows, **options)
        file.attrs["made by"] = "a test"
    for _ in range(5):
        with h5py.File(path, "a") as file:
            data = file["rows"]
            data.resize(data.shape[0] + 1000, axis=0)
            data[-1000:] = rows[::-1]
            file.require_group("groups")[f"of {data.shape[0]}"] = rows[:10]
    with h5py.File(path, "r+") as file:
        file["rows"][500] = 7
        del file["groups/of 2000"]
    with h5py.File(path, "r") as file:
        data = file["rows"][:]
        return {
            "rows": f"{data.shape} {digest(data.tobytes())}",
            "groups": str(sorted(file["groups"])),
            "attribute": file.attrs["made by"],
        }


def numpy(root: Path, scratch: Path) -> dict:
    path = root / "new.npy"
    array = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(2000, 500))
    array[:] = np.arange(1_000_000, dtype=np.float32).reshape(2000, 500)
    array.flush()
    del array
    array = np.load(path, mmap_mode="r+")
    array[1000:1010] *= -1
    array[1999, 499] = 0.5
    seen = np.load(path)
    results = {"without a flush": digest(seen.tobytes())}
    del array
    results["bytes"] = digest(path.read_bytes())
    # An object of the bucket, changed in place.
    name = next(p for p in sorted(root.rglob("*.bin")) if p.stat().st_size > 1_000_000)
    mapped = np.memmap(name, dtype=np.uint8, mode="r+")
    mapped[500_000:500_100] = 255 - mapped[500_000:500_100]
    mapped.flush()
    del mapped
    results["object"] = digest(name.read_bytes())
    np.savez_compressed(root / "new.npz", a=seen[:100], b=seen[-1])
    with np.load(root / "new.npz") as saved:
        results["npz"] = digest(saved["a"].tobytes() + saved["b"].tobytes())
    return results


def sqlite(root: Path, scratch: Path) -> dict:
    results = {}
    for journal in ["delete", "truncate", "wal"]:
        path = root / f"{journal}.db"
        with sqlite3.connect(path) as base:
            results[f"{journal} mode"] = base.execute(f"pragma journal_mode={journal}").fetchone()[0]
            base.execute("create table t (writer int, number int, text text)")
        base.close()
        failed = []

        def write(writer: int, path: Path = path, failed: list = failed) -> None:
            try:
                base = sqlite3.connect(path, timeout=60, isolation_level=None)
                for number in range(60):
                    base.execute("begin immediate")
                    text = f"{writer} {number} " * 50
                    base.execute("insert into t values (?, ?, ?)", (writer, number, text))
                    base.execute("commit" if number % 5 else "rollback")
                base.close()
            except sqlite3.Error as error:
                failed.append(repr(error))

        threads = [threading.Thread(target=write, args=(n,)) for n in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        base = sqlite3.connect(path)
        results[f"{journal} failures"] = str(failed)
        results[f"{journal} rows"] = digest(
            repr(base.execute("select * from t order by writer, number").fetchall()).encode()
        )
        results[f"{journal} check"] = base.execute("pragma integrity_check").fetchone()[0]
        base.execute("vacuum")
        results[f"{journal} vacuumed"] = base.execute("pragma integrity_check").fetchone()[0]
        base.close()
        shell = ["select count(*), sum(length(text)) from t; pragma integrity_check;"]
        results[f"{journal} shell"] = command("sqlite3", path, *shell).decode()
        results[f"{journal} left"] = str(sorted(p.name for p in root.glob(f"{journal}.db*")))
    return results


def two_processes(root: Path, scratch: Path) -> dict:
    """Two programs, not two threads of one: they share nothing but the mount."""
    if shutil.which("sqlite3") is None:
        raise NotInstalled("sqlite3")
    results = {}
    for journal in ["delete", "wal"]:
        path = root / f"{journal}-shared.db"
        command("sqlite3", path, f"pragma journal_mode={journal}; create table t (w, n);")
        script = "pragma busy_timeout=60000;\n" + "".join(
            f"insert into t values (%d, {n});\n" for n in range(200)
        )
        writers = []
        for writer in range(2):
            shell = subprocess.Popen(
                ["sqlite3", "-bail", path], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
            )
            writers.append((shell, script.replace("%d", str(writer)).encode()))
        feeding = [threading.Thread(target=s.communicate, args=(text,)) for s, text in writers]
        for thread in feeding:
            thread.start()
        for thread in feeding:
            thread.join()
        results[f"{journal} exits"] = str([shell.returncode for shell, _ in writers])
        told = command("sqlite3", path, "select w, count(*) from t group by w; pragma integrity_check;")
        results[journal] = told.decode()
    return results


def git(root: Path, scratch: Path) -> dict:
    work = root / "work"
    work.mkdir()
    who = ["-c", "user.name=Nobody", "-c", "user.email=nobody@example.com"]
    # One thread makes the same packs in each run.
    who += ["-c", "safe.directory=*", "-c", "gc.auto=0", "-c", "pack.threads=1"]

    def run(*words: object) -> bytes:
        environment = {"GIT_AUTHOR_DATE": "2020-01-01T00:00:00Z"}
        environment["GIT_COMMITTER_DATE"] = environment["GIT_AUTHOR_DATE"]
        os.environ.update(environment)
        return command("git", *who, *words, cwd=work)

    run("init", "-q", "-b", "main")
    shutil.copytree(root / "tree", work / "tree")
    for n in range(150):
        (work / f"file {n}").write_text(f"{n}\n" * n)
    run("add", "-A")
    run("commit", "-q", "-m", "first")
    (work / "file 7").write_text("changed")
    (work / "file 8").rename(work / "file 8 moved")
    run("commit", "-q", "-a", "-m", "second")
    run("checkout", "-q", "-b", "other", "HEAD~1")
    run("checkout", "-q", "main")
    run("gc", "-q")
    run("fsck", "--full", "--strict")
    # What names the root would differ: where it was cloned from.
    command("git", *who, "-c", "core.logAllRefUpdates=false", "clone", "-q", work, root / "clone")
    command("git", *who, "-C", root / "clone", "remote", "set-url", "origin", "../work")
    return {
        "log": run("log", "--format=%H %s").decode(),
        "status": run("status", "--porcelain").decode(),
        "clone": digest(str(contents(root / "clone/tree")).encode()),
        "packs": str(len(list((work / ".git/objects/pack").glob("*.pack")))),
    }


def tar(root: Path, scratch: Path) -> dict:
    archive = scratch / "tree.tar"
    command("tar", "-cf", archive, "-C", root, "tree")
    target = root / "unpacked"
    target.mkdir()
    command("tar", "-xpf", archive, "-C", target)
    command("diff", "-r", root / "tree", target / "tree")
    command("tar", "-czf", root / "tree.tar.gz", "-C", target, "tree")
    command("tar", "-dzf", root / "tree.tar.gz", "-C", target)
    files = [path for path in (root / "tree").rglob("*") if path.is_file()]
    seconds = [
        (path.stat().st_mtime_ns // 10**9, (target / path.relative_to(root)).stat().st_mtime_ns // 10**9)
        for path in files
    ]
    return {"times are kept": all(a == b for a, b in seconds), **contents(target)}


def rsync(root: Path, scratch: Path) -> dict:
    source = scratch / "source"
    shutil.copytree(root / "tree", source)
    if not IN_A_BUCKET:
        (source / "link").symlink_to("1")
        os.link(next(p for p in sorted(source.rglob("*")) if p.is_file()), source / "hard")
    target = root / "copied"
    command("rsync", "-aH", "--delete", f"{source}/", target)
    again = command("rsync", "-aHni", "--delete", f"{source}/", target).decode()
    large = next(p for p in sorted(source.rglob("*.bin")) if p.stat().st_size > 1_000_000)
    data = bytearray(large.read_bytes())
    data[1_000_000:1_000_100] = bytes(100)
    large.write_bytes(data + b"and more")
    # Into a copy, and into what is in the bucket.
    inplace = ["rsync", "-a", "--inplace", "--no-whole-file", "--checksum"]
    for folder in [target, root / "tree"]:
        command(*inplace, f"{source}/", folder)
        command("diff", "-r", "--no-dereference", source, folder)
    results = {"a second run": again, **contents(root / "tree")}
    if not IN_A_BUCKET:
        results["link"] = os.readlink(target / "link")
        results["hard links"] = (target / "hard").stat().st_nlink
    return results


def ffmpeg(root: Path, scratch: Path) -> dict:
    quiet = ["ffmpeg", "-v", "error", "-nostdin", "-y"]
    source = ["-f", "lavfi", "-i", "testsrc=size=320x240:rate=25:duration=4"]
    exact = ["-threads", "1", "-fflags", "+bitexact", "-flags:v", "+bitexact"]
    results = {}
    for name, options in {
        "new.mp4": ["-c:v", "mpeg4", "-movflags", "+faststart"],
        "plain.mp4": ["-c:v", "mpeg4"],
        "new.mkv": ["-c:v", "ffv1"],
        "new.avi": ["-c:v", "mjpeg", "-pix_fmt", "yuvj420p"],
    }.items():
        command(*quiet, *source, *options, *exact, root / name)
        show = ["-show_entries", "stream=codec_name,width,height,nb_frames:format=duration"]
        results[name] = command("ffprobe", "-v", "error", *show, "-of", "json", root / name).decode()
        results[name] = re.sub(r"\s+", " ", results[name])
        frames = command(*quiet, "-i", root / name, "-f", "framemd5", "-")
        results[f"frames of {name}"] = digest(frames)
    command(*quiet, "-i", root / "new.mp4", root / "frame %03d.png")
    results["frames"] = len(list(root.glob("frame *.png")))
    return results


def stress(root: Path, scratch: Path) -> dict:
    folder = root / "stress"
    folder.mkdir()
    seconds = 60 if FULL_SIZE else 5 if IN_A_BUCKET else 20
    stressors = [
        *["dentry", "dir", "dirdeep", "fallocate", "filename", "flock", "fstat"],
        *["hdd", "link", "rename", "seek", "symlink", "sync-file", "touch", "unlink"],
        *["utime", "readahead", "lease", "locka", "open", "access", "chmod"],
    ]
    if IN_A_BUCKET:
        stressors = [name for name in stressors if name not in ("link", "symlink")]
    known = command("stress-ng", "--stressors").decode().split()
    several = [word for name in stressors if name in known for word in (f"--{name}", "1")]
    limits = ["--hdd-bytes", "32M", "--seek-size", "16M", "--fallocate-bytes", "32M"]
    limits += ["--readahead-bytes", "16M", "--sync-file-bytes", "16M"]
    command(
        *["stress-ng", "--temp-path", folder, "--timeout", f"{seconds}s", "--verify"],
        *several,
        *limits,
    )
    return {"left behind": str(sorted(p.name for p in folder.iterdir())), "stressors": len(several)}


PROGRAMS = {
    "pillow writing": pillow,
    "rasterio and gdal writing": geotiff,
    "h5py writing": hdf5,
    "numpy writing": numpy,
    "python's sqlite3 writing": sqlite,
    "two sqlite3 shells writing": two_processes,
    "git writing": git,
    "tar writing": tar,
    "rsync writing": rsync,
    "ffmpeg writing": ffmpeg,
    "stress-ng writing": stress,
}
