"""Packages a built program: a wheel, a .deb, a tarball, and their checksums.

    package.py --binary PATH --out DIR [--epoch SECONDS] [--level 1-9] [--wheel] [--deb] [--tarball]

The same program and the same sources give the same bytes: times are those of --epoch, and names
are in order. Needs nothing but Python 3.11, and dpkg-deb for the .deb.
"""

from __future__ import annotations

import argparse
import base64
import gzip
import hashlib
import io
import os
import shutil
import struct
import subprocess
import sys
import tarfile
import tempfile
import time
import tomllib
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent.parent.parent
MOST_WHEEL_BYTES = 15_000_000
# What every Linux with the C library of GNU has: the list of PEP 600.
LIBRARIES = ("libc.so.6", "libm.so.6", "libgcc_s.so.1", "libdl.so.2", "libpthread.so.0", "librt.so.1", "ld-linux")
OLDEST_GLIBC = (2, 17)
MACHINES = {62: ("x86_64", "amd64"), 183: ("aarch64", "arm64")}


def fail(sentence: str) -> NoReturn:
    sys.exit(f"package.py: {sentence}")


@dataclass
class Program:
    """An ELF program, as far as packages have to know it."""

    data: bytes
    machine: str
    debian: str
    is_static: bool
    glibc: tuple[int, int]
    """The oldest version of the C library that it runs with."""

    @staticmethod
    def read(path: Path) -> Program:
        data = _stripped(path)
        if data[:6] != b"\x7fELF\x02\x01":
            fail(f"{path} is no 64-bit Linux program")
        (machine,) = struct.unpack_from("<H", data, 18)
        if machine not in MACHINES:
            fail(f"{path} is for a machine that is not known here ({machine})")
        needed, versions, has_interpreter = _dynamic(data)
        for library in needed:
            if not library.startswith(LIBRARIES):
                fail(f"{path} needs {library}, which not every Linux has")
        glibc = max([OLDEST_GLIBC, *versions])
        is_static = not has_interpreter and not needed
        return Program(data, *MACHINES[machine], is_static, glibc)

    def tags(self) -> list[str]:
        """The platforms of a wheel with this program."""
        if self.is_static:
            # It asks nothing of the C library, whichever it is.
            return [f"manylinux_2_17_{self.machine}", f"manylinux2014_{self.machine}", f"musllinux_1_1_{self.machine}"]
        major, minor = self.glibc
        tags = [f"manylinux_{major}_{minor}_{self.machine}"]
        return tags + ([f"manylinux2014_{self.machine}"] if self.glibc == (2, 17) else [])


def _stripped(path: Path) -> bytes:
    data = path.read_bytes()
    if data[:4] != b"\x7fELF" or ".symtab" not in _section_names(data):
        return data
    with tempfile.TemporaryDirectory() as temporary:
        copy = Path(temporary, "program")
        copy.write_bytes(data)
        stripped = subprocess.run(["strip", "--strip-all", copy], capture_output=True, text=True)
        if stripped.returncode != 0:
            fail(f"{path} has symbols, and can't be stripped: {stripped.stderr.strip()}")
        return copy.read_bytes()


def _section_names(data: bytes) -> set[str]:
    (offset,) = struct.unpack_from("<Q", data, 40)
    size, count, strings = struct.unpack_from("<HHH", data, 58)
    if count == 0:
        return set()
    headers = [struct.unpack_from("<IIQQQQ", data, offset + index * size) for index in range(count)]
    table = int(headers[strings][4])
    return {_text(data, table + header[0]) for header in headers}


def _text(data: bytes, at: int) -> str:
    return data[at : data.index(b"\0", at)].decode()


def _dynamic(data: bytes) -> tuple[list[str], list[tuple[int, int]], bool]:
    """The libraries that are needed, the versions of the C library, and whether there is an interpreter."""
    (offset,) = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    segments = [struct.unpack_from("<IIQQQQ", data, offset + index * size) for index in range(count)]
    has_interpreter = any(segment[0] == 3 for segment in segments)

    def file_offset(address: int) -> int:
        for kind, _, at, start, _, length in segments:
            if kind == 1 and start <= address < start + length:
                return int(at + address - start)
        fail("the program's tables are not where it says")

    entries: list[tuple[int, int]] = []
    for kind, _, at, _, _, length in segments:
        if kind == 2:
            entries = [struct.unpack_from("<qQ", data, at + i) for i in range(0, length, 16)]
    values = dict(reversed(entries))
    if 5 not in values:
        return [], [], has_interpreter
    strings = file_offset(values[5])
    needed = [_text(data, strings + value) for tag, value in entries if tag == 1]
    versions = []
    if 0x6FFFFFFE in values:
        at = file_offset(values[0x6FFFFFFE])
        for _ in range(values[0x6FFFFFFF]):
            _, parts, _, first, following = struct.unpack_from("<HHIII", data, at)
            part = at + first
            for _ in range(parts):
                _, _, _, name, after = struct.unpack_from("<IHHII", data, part)
                version = _text(data, strings + name)
                if version.startswith("GLIBC_2."):
                    numbers = version.removeprefix("GLIBC_").split(".")
                    versions.append((int(numbers[0]), int(numbers[1])))
                part += after
            at += following
    return needed, versions, has_interpreter


@dataclass
class When:
    """The time that files get, and how hard they are packed."""

    epoch: int
    level: int


@dataclass
class Package:
    """What Cargo.toml says."""

    version: str
    description: str

    @staticmethod
    def read() -> Package:
        package = tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]
        return Package(package["version"], package["description"])


def extras(program: Path, into: Path) -> list[Path]:
    """Man pages and completions, from the program itself, if it makes them and runs here."""
    made = []
    man = into / "man"
    man.mkdir()
    if _runs([program, "man", man]) is not None:
        made += sorted(path for path in man.iterdir())
    for shell, name in (("bash", "s3mem.bash"), ("zsh", "_s3mem"), ("fish", "s3mem.fish")):
        text = _runs([program, "completions", shell])
        if text:
            path = into / name
            path.write_bytes(text)
            made.append(path)
    return made


def _runs(command: list[str | Path]) -> bytes | None:
    try:
        ran = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
    except OSError:
        # A program for another machine.
        return None
    return ran.stdout if ran.returncode == 0 else None


def wheel(program: Program, package: Package, out: Path, when: When) -> Path:
    """A wheel: the Python package, and the program among its scripts."""
    tags = program.tags()
    name = f"s3mem-{package.version}"
    path = out / f"{name}-py3-none-{'.'.join(tags)}.whl"
    info = f"{name}.dist-info"
    description = (ROOT / "README.md").read_text()
    metadata = "\n".join(
        [
            "Metadata-Version: 2.4",
            "Name: s3mem",
            f"Version: {package.version}",
            f"Summary: {package.description}",
            "License-Expression: MIT OR Apache-2.0",
            "License-File: LICENSE-APACHE",
            "License-File: LICENSE-MIT",
            "Keywords: s3,fuse,filesystem,mount,imagery",
            "Classifier: Operating System :: POSIX :: Linux",
            "Classifier: Typing :: Typed",
            "Requires-Python: >=3.10",
            "Description-Content-Type: text/markdown",
            "",
            description,
        ]
    )
    about = ["Wheel-Version: 1.0", "Generator: s3mem package.py", "Root-Is-Purelib: false"]
    about += [f"Tag: py3-none-{tag}" for tag in tags]
    files: dict[str, tuple[bytes, int]] = {}
    for source in sorted((ROOT / "python/s3mem").iterdir()):
        if source.suffix == ".py" or source.name == "py.typed":
            text = source.read_bytes()
            if source.name == "__init__.py":
                text += f'\n__version__ = "{package.version}"\n'.encode()
            files[f"s3mem/{source.name}"] = (text, 0o644)
    files[f"{name}.data/scripts/s3mem"] = (program.data, 0o755)
    for license in ("LICENSE-APACHE", "LICENSE-MIT"):
        files[f"{info}/licenses/{license}"] = ((ROOT / license).read_bytes(), 0o644)
    files[f"{info}/METADATA"] = (metadata.encode(), 0o644)
    files[f"{info}/WHEEL"] = (("\n".join(about) + "\n").encode(), 0o644)
    record = ""
    for file, (data, _) in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        record += f"{file},sha256={digest},{len(data)}\n"
    record += f"{info}/RECORD,,\n"
    files[f"{info}/RECORD"] = (record.encode(), 0o644)
    date = time.gmtime(max(when.epoch, 315_532_800))[:6]
    with zipfile.ZipFile(path, "w") as archive:
        for file, (data, mode) in files.items():
            entry = zipfile.ZipInfo(file, date)
            entry.external_attr = (0o100000 | mode) << 16
            entry.create_system = 3
            archive.writestr(entry, data, zipfile.ZIP_DEFLATED, when.level)
    if when.level == 9 and path.stat().st_size > MOST_WHEEL_BYTES:
        fail(f"{path} has {path.stat().st_size} bytes, which is more than {MOST_WHEEL_BYTES}")
    return path


def tarball(program: Program, package: Package, out: Path, when: When, made: list[Path]) -> Path:
    """The program with its documents, to be unpacked anywhere."""
    kind = "" if program.is_static else f"-glibc{program.glibc[0]}.{program.glibc[1]}"
    folder = f"s3mem-{package.version}-{program.machine}-linux{kind}"
    files: dict[str, tuple[bytes, int]] = {"s3mem": (program.data, 0o755)}
    for name in ("README.md", "CHANGELOG.md", "LICENSE-APACHE", "LICENSE-MIT"):
        files[name] = ((ROOT / name).read_bytes(), 0o644)
    for page in made:
        below = "man" if page.parent.name == "man" else "completions"
        files[f"{below}/{page.name}"] = (page.read_bytes(), 0o644)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, (data, mode) in sorted(files.items()):
            entry = tarfile.TarInfo(f"{folder}/{name}")
            entry.size, entry.mode, entry.mtime = len(data), mode, when.epoch
            entry.uname = entry.gname = "root"
            archive.addfile(entry, io.BytesIO(data))
    path = out / f"{folder}.tar.gz"
    path.write_bytes(gzip.compress(packed.getvalue(), when.level, mtime=when.epoch))
    return path


def deb(program: Program, package: Package, out: Path, when: When, made: list[Path]) -> Path:
    """A Debian package: the program, the helper of mount(8), and a unit of systemd."""
    if shutil.which("dpkg-deb") is None:
        fail("a .deb needs dpkg-deb, which Debian's package dpkg has")
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary, "root")

        def put(name: str, data: bytes, mode: int = 0o644) -> None:
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            path.chmod(mode)

        put("usr/bin/s3mem", program.data, 0o755)
        helper = root / "usr/sbin/mount.s3mem"
        helper.parent.mkdir(parents=True)
        helper.symlink_to("../bin/s3mem")
        put("usr/lib/systemd/system/s3mem@.service", (ROOT / "scripts/packaging/s3mem@.service").read_bytes())
        put("usr/share/doc/s3mem/examples/tiles.conf", (ROOT / "scripts/packaging/tiles.conf").read_bytes())
        put("usr/share/doc/s3mem/copyright", _copyright())
        for document in ("README.md", "CHANGELOG.md"):
            put(f"usr/share/doc/s3mem/{document}.gz", _packed((ROOT / document).read_bytes()))
        for page in made:
            data = page.read_bytes()
            if page.parent.name == "man":
                put(f"usr/share/man/man{page.suffix[1:]}/{page.name}.gz", _packed(data))
            elif page.name.endswith(".bash"):
                put("usr/share/bash-completion/completions/s3mem", data)
            elif page.name.endswith(".fish"):
                put(f"usr/share/fish/vendor_completions.d/{page.name}", data)
            else:
                put(f"usr/share/zsh/vendor-completions/{page.name}", data)
        (root / "etc/s3mem").mkdir(parents=True)
        plain = sorted(path for path in root.rglob("*") if path.is_file() and not path.is_symlink())
        sums = "".join(
            f"{hashlib.md5(path.read_bytes()).hexdigest()}  {path.relative_to(root)}\n" for path in plain
        )
        bytes_installed = sum(path.stat().st_size for path in plain)
        put("DEBIAN/md5sums", sums.encode())
        put("DEBIAN/control", _control(program, package, bytes_installed // 1024 + 1))
        for script in ("postinst", "postrm"):
            put(f"DEBIAN/{script}", (ROOT / "scripts/packaging/reload-units").read_bytes(), 0o755)
        for path in [root, *root.rglob("*")]:
            if path.is_dir() and not path.is_symlink():
                path.chmod(0o755)
            os.utime(path, (when.epoch, when.epoch), follow_symlinks=False)
        path = out / f"s3mem_{package.version}_{program.debian}.deb"
        command = ["dpkg-deb", "--root-owner-group", "-Zxz", f"-z{when.level}", "--build", str(root), str(path)]
        # Several threads would pack other bytes than one.
        environment = {**os.environ, "SOURCE_DATE_EPOCH": str(when.epoch), "DPKG_DEB_THREADS_MAX": "1"}
        built = subprocess.run(command, env=environment, capture_output=True, text=True)
        if built.returncode != 0:
            fail(f"dpkg-deb failed: {built.stderr.strip()}")
        return path


def _packed(data: bytes) -> bytes:
    return gzip.compress(data, 9, mtime=0)


def _control(program: Program, package: Package, kib: int) -> bytes:
    depends = "" if program.is_static else f"Depends: libc6 (>= {program.glibc[0]}.{program.glibc[1]}), libgcc-s1\n"
    maintainer = os.environ.get("S3MEM_MAINTAINER", "The developers of s3mem <s3mem@localhost>")
    return (
        f"Package: s3mem\nVersion: {package.version}\nArchitecture: {program.debian}\n"
        f"Maintainer: {maintainer}\nInstalled-Size: {kib}\n{depends}"
        "Recommends: ca-certificates, fuse3\nSection: utils\nPriority: optional\n"
        f"Description: {package.description[0].lower()}{package.description[1:]}\n"
        " The objects appear as files and are fetched into memory as they are read,\n"
        " piece by piece. Nothing is written to disk. Images have virtual siblings in\n"
        " other formats, which are made in memory on demand.\n"
    ).encode()


def _copyright() -> bytes:
    mit = (ROOT / "LICENSE-MIT").read_text().rstrip()
    apache = (
        "Licensed under the Apache License, Version 2.0, or under the terms below, at your option.\n"
        "On Debian systems /usr/share/common-licenses/Apache-2.0 has the text of the former.\n"
    )
    return f"{apache}\n{mit}\n".encode()


def checksums(out: Path) -> Path:
    """What `sha256sum -c SHA256SUMS` checks: all packages in the folder."""
    lines = ""
    for path in sorted(out.iterdir()):
        if path.name.endswith((".whl", ".deb", ".tar.gz")):
            lines += f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
    path = out / "SHA256SUMS"
    path.write_text(lines)
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--binary", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--epoch", type=int, default=int(os.environ.get("SOURCE_DATE_EPOCH", "0")))
    parser.add_argument("--level", type=int, default=9)
    for kind in ("wheel", "deb", "tarball"):
        parser.add_argument(f"--{kind}", action="store_true")
    args = parser.parse_args()
    everything = not (args.wheel or args.deb or args.tarball)
    program, package = Program.read(args.binary), Package.read()
    when = When(args.epoch, args.level)
    args.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        made = extras(args.binary.resolve(), Path(temporary))
        if args.wheel or everything:
            print(wheel(program, package, args.out, when))
        if args.deb or everything:
            print(deb(program, package, args.out, when, made))
        if args.tarball or everything:
            print(tarball(program, package, args.out, when, made))
    print(checksums(args.out))


if __name__ == "__main__":
    main()
