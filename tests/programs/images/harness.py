"""Every image of a folder through all its siblings, against what other software reads.

    harness.py FOLDER [--program S3MEM | --mounted DIR]   examines a folder
    harness.py --make FOLDER [--share N]                  makes images to examine

`scripts/images.sh` runs it with the Python that has the readers. The exit status is 1
if a pixel is wrong or something fails that others read, and 2 if nothing was examined.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from outcome import FAILURES, TITLES, Finding, Kind
from pool import Image, Pool, processors


def main() -> int:
    # A log or a pipe must see each line when it is written.
    sys.stdout.reconfigure(line_buffering=True)
    arguments = parsed()
    if arguments.make:
        import make

        count = make.corpus(arguments.folder, arguments.share)
        print(f"{count} images in {arguments.folder}")
        return 0
    images = [
        path
        for path in sorted(arguments.folder.rglob("*"))
        if path.is_file() and path.stat().st_size > 0
    ]
    if not images:
        print(f"there is nothing in {arguments.folder}", file=sys.stderr)
        return 2
    with mounted(arguments) as (point, log):
        return examined(arguments, images, point, log)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="images.sh", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--make", action="store_true", help="make images in FOLDER instead")
    parser.add_argument(
        "--share", type=int, default=1, metavar="N", help="with --make: each Nth image only"
    )
    parser.add_argument("--program", metavar="PATH", help="the s3mem to mount with")
    parser.add_argument("--mounted", type=Path, metavar="DIR", help="FOLDER is mounted here already")
    parser.add_argument(
        "--mount-flag", action="append", default=[], metavar="FLAG", help="one more flag for the mount"
    )
    parser.add_argument("--seconds", type=float, default=60, help="how long each step may take")
    parser.add_argument("--processes", type=int, default=processors(), metavar="N")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all that was found there too")
    parser.add_argument("--log", type=Path, metavar="FILE", help="keep the log of the mount there; with --mounted: it is there")
    arguments = parser.parse_args()
    arguments.folder = arguments.folder.resolve()
    return arguments


@contextmanager
def mounted(arguments: argparse.Namespace) -> Iterator[tuple[Path, Path | None]]:
    """The mount of the folder, and its log; one of our own ends with the run."""
    if arguments.mounted:
        yield arguments.mounted, arguments.log
        return
    from bucket_server import BUCKET, FolderServer

    program = arguments.program or "s3mem"
    server = FolderServer(arguments.folder)
    with tempfile.TemporaryDirectory(prefix="s3mem-images-") as folder:
        point = Path(folder) / "mount"
        point.mkdir()
        words = [program, "mount", BUCKET, point, "--endpoint-url", server.endpoint]
        words += ["--path-style", "--region", "us-east-1", *arguments.mount_flag]
        log = (arguments.log or Path(folder) / "log").resolve()
        words += ["--log-file", log]
        keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
        subprocess.run([str(w) for w in words], check=True, env={**os.environ, **keys})
        try:
            yield point, log
        finally:
            ended = subprocess.run([program, "umount", str(point)], check=False)
            if ended.returncode != 0:
                # A reader of ours may have been killed a moment ago.
                subprocess.run(["fusermount3", "-uz", str(point)], check=False)
            server.close()


def examined(
    arguments: argparse.Namespace, paths: list[Path], point: Path, log: Path | None
) -> int:
    start = time.monotonic()
    images = []
    for path in paths:
        name = path.relative_to(arguments.folder).as_posix()
        images.append(Image(name, path, point / name))
    results: dict[str, list[Finding]] = {}
    pool = Pool(max(arguments.processes, 1), arguments.seconds)
    try:
        for image, findings in pool.examine(images):
            results[image.name] = findings
            if sys.stderr.isatty():
                print(f"\r{len(results)} of {len(images)}", end="", file=sys.stderr, flush=True)
    finally:
        pool.close()
    if sys.stderr.isatty():
        print("\r", end="", file=sys.stderr)
    if log:
        with_reasons(results, log)
    if arguments.json:
        write_json(arguments.json, results)
    report(results)
    print(f"\n{len(results)} files in {time.monotonic() - start:.0f} s")
    return int(any(f.kind in FAILURES for findings in results.values() for f in findings))


def with_reasons(results: dict[str, list[Finding]], log: Path) -> None:
    """What s3mem has logged of what fails."""
    told: dict[str, str] = {}
    for line in log.read_text(errors="replace").splitlines():
        if " WARN " not in line and " ERROR " not in line:
            continue
        parts = line.split(": ", 2)
        if len(parts) == 3:
            told.setdefault(parts[1], parts[2])
    for name, findings in results.items():
        for finding in findings:
            if finding.kind in (Kind.EIO, Kind.DAMAGED, Kind.ALL_REFUSE) and name in told:
                finding.said.insert(0, f"s3mem says: {told[name][:300]}")


def outcome(findings: list[Finding]) -> Kind:
    """The worst of the siblings."""
    kinds = [f.kind for f in findings if f.kind != Kind.NOTE]
    kind = min(kinds, default=Kind.NOTHING)
    if kind == Kind.REFUSED and any(k in (Kind.EXACT, Kind.LOSSY) for k in kinds):
        # What PNG can't hold has no PNG: that is no refusal of the image.
        return Kind.LOSSY if Kind.LOSSY in kinds else Kind.EXACT
    return kind


def report(results: dict[str, list[Finding]]) -> None:
    by_kind: dict[Kind, list[str]] = {}
    for name, findings in sorted(results.items()):
        by_kind.setdefault(outcome(findings), []).append(name)
    print("| outcome | files | for example |\n|---|---|---|")
    for kind in Kind:
        if names := by_kind.get(kind):
            print(f"| {TITLES[kind]} | {len(names)} | {names[0]} |")
    summary(results, Kind.REFUSED, "Why images are refused")
    summary(results, Kind.EXACT, "How siblings are exact")
    summary(results, Kind.LOSSY, "How far lossy siblings are off")
    for kind in Kind:
        if kind > Kind.DAMAGED or kind not in by_kind:
            continue
        print(f"\n## {TITLES[kind]}\n")
        for name in by_kind[kind]:
            rows(name, results[name])


def summary(results: dict[str, list[Finding]], kind: Kind, title: str) -> None:
    """How often each sentence was said, and of which image first."""
    count: Counter[str] = Counter()
    first: dict[str, str] = {}
    for name, findings in sorted(results.items()):
        for told in {f"{f.sibling}: {f.text}" for f in findings if f.kind == kind}:
            count[told] += 1
            first.setdefault(told, name)
    if not count:
        return
    print(f"\n## {title}\n\n| files | sibling: what | for example |\n|---|---|---|")
    for told, number in count.most_common(60):
        print(f"| {number} | {told} | {first[told]} |")


def rows(name: str, findings: list[Finding]) -> None:
    """What was found of an image that is not as it should be; the same is said once."""
    print(f"- {name}")
    together: dict[tuple[str, ...], list[Finding]] = {}
    for finding in findings:
        if finding.kind <= Kind.DAMAGED:
            together.setdefault((finding.text, *finding.said), []).append(finding)
    said: set[str] = set()
    for (text, *lines), same in together.items():
        siblings = ", ".join(dict.fromkeys(finding.sibling for finding in same))
        ours = next((finding.ours for finding in same if finding.ours), "")
        print(f"  - {siblings}: {text}" + (f" ({ours})" if ours else ""))
        for line in lines:
            if line not in said:
                print(f"    - {line}")
        said.update(lines)


def write_json(path: Path, results: dict[str, list[Finding]]) -> None:
    told = {
        name: [
            {"kind": f.kind.name, "sibling": f.sibling, "text": f.text, "ours": f.ours, "said": f.said}
            for f in findings
        ]
        for name, findings in sorted(results.items())
    }
    path.write_text(json.dumps(told, indent=1))


if __name__ == "__main__":
    sys.exit(main())
