"""Mounts, which end with the block or with the process that has made them."""

from __future__ import annotations

import atexit
import json
import logging
import os
import signal
import warnings
from pathlib import Path
from types import TracebackType
from typing import ContextManager, Sequence, TypeAlias

from ._errors import CannotMount, MountError, UnmountError
from ._program import run

Option: TypeAlias = "str | int | float | bool | os.PathLike[str] | Sequence[str | int] | None"
"""The value of an option of ``s3mem mount``."""

_log = logging.getLogger("s3mem")

_REPEATED = {"memory_only"}
"""Options that are given once for each of several values; others take a list with commas."""

_FORBIDDEN = ("you may not mount", "there is no /dev/fuse", "/dev/fuse may not be opened")
"""How the sentences begin that say that nothing can be mounted here."""

_live: dict[int, Mount] = {}
"""The mounts of this process that have not ended."""


class Mount(ContextManager[Path]):
    """A mounted bucket. ``with`` gives its path, and unmounts it at the end of the block."""

    path: Path
    """The folder with the files."""

    source: str
    """What is mounted."""

    def __init__(self, path: Path, source: str) -> None:
        self.path = path
        self.source = source
        self._process = os.getpid()
        _live[id(self)] = self

    def unmount(self) -> None:
        """Unmounts, after everything that was written is where it belongs.

        In a process that has not made the mount, such as a worker, this does nothing; nor does it do
        anything the second time.

        Files that are still open can be read for a few more seconds, and a warning names the
        programs that have them open.
        """
        if self._process != os.getpid() or _live.get(id(self)) is not self:
            return
        ran = run(["umount", "--", str(self.path)])
        if ran.status == 0 or _is_gone(ran.sentence):
            del _live[id(self)]
        elif " is in use" in ran.sentence:
            self._detach()
            del _live[id(self)]
            using = ran.sentence.split(". ")[0]
            warnings.warn(f"{using}; what is open there stops working now", RuntimeWarning, stacklevel=2)
        else:
            raise UnmountError(ran.sentence)

    def _detach(self) -> None:
        """Has the daemon unmount, whoever still uses the files."""
        ran = run(["status", "--json", "--", str(self.path)])
        try:
            os.kill(int(json.loads(ran.output)["pid"]), signal.SIGTERM)
        except (ValueError, KeyError, ProcessLookupError):
            # It has ended meanwhile.
            pass

    def __enter__(self) -> Path:
        return self.path

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.unmount()

    def __fspath__(self) -> str:
        return str(self.path)

    def __repr__(self) -> str:
        return f"<s3mem.Mount of {self.source} at {self.path}>"


def mount(
    source: str | Sequence[str],
    *,
    at: str | os.PathLike[str] | None = None,
    writes: str | None = None,
    rootless: bool | None = None,
    **options: Option,
) -> Mount:
    """Mounts a bucket, or a folder of it: ``BUCKET``, ``BUCKET/PREFIX`` or ``s3://BUCKET/PREFIX``.

    Of a list of these, each is a folder of its name; of ``"s3://"``, each bucket.

    When this returns, the files are there. They stay until the end of the ``with`` block,
    :meth:`Mount.unmount`, or the end of this process, however it ends.

    :param at: the folder where the files appear; by default one is made for them.
    :param writes: ``"memory"`` lets programs write files that stay in memory, ``"upload"`` into the bucket.
    :param rootless: mount in a user namespace: always (``True``), never (``False``), or where this
        user may not mount otherwise. The path then leads through ``/proc/PID/root``.
    :param options: the long options of ``s3mem mount``, with ``_`` for ``-``: ``no_sign_request=True``,
        ``endpoint_url="http://..."``, ``preview_bands=(4, 3, 2)``.
    :raises CannotMount: nothing can be mounted on this machine, or not by this user.
    :raises MountError: anything else is wrong; the message is what the program says.
    """
    flags = _flags({"writes": writes, **options})
    folder = None if at is None else os.path.abspath(os.fspath(at))
    words = ["mount", f"--ends-with={os.getpid()}", *flags]
    if rootless is not False:
        words.append("--rootless" if rootless else "--rootless=if-needed")
    elif folder is None:
        raise MountError("with rootless=False, name a folder to mount on (at=...)")
    sources = [source] if isinstance(source, str) else list(source)
    words += ["--", *sources]
    if folder is not None or len(sources) > 1:
        # The last of several words is the folder; an empty one stands for one that is made.
        words.append(folder or "")
    ran = run(words)
    if ran.status != 0:
        if ran.sentence.startswith(_FORBIDDEN):
            raise CannotMount(_with_ways_out(ran.sentence))
        raise MountError(ran.sentence or f"s3mem ended with status {ran.status}")
    for line in ran.sentence.splitlines():
        _log.warning(line)
    mounted = Mount(Path(ran.output.strip("\n") or folder or ""), " ".join(sources))
    try:
        os.stat(mounted.path)
    except OSError as error:
        mounted.unmount()
        raise CannotMount(
            _with_ways_out(f"this system lets nobody use the path {mounted.path}: {error.strerror}")
        ) from error
    return mounted


def _with_ways_out(sentence: str) -> str:
    return (
        f"{sentence.rstrip('.')}. Where a launcher can give a program what is missing, "
        "'python -m s3mem run BUCKET -- COMMAND' mounts for that one command"
    )


def _is_gone(sentence: str) -> bool:
    return any(part in sentence for part in ("nothing is mounted on", "does not exist", "that are gone"))


def _flags(options: dict[str, Option]) -> list[str]:
    flags: list[str] = []
    for name, value in options.items():
        flag = "--" + name.replace("_", "-")
        if value is None or value is False:
            continue
        if value is True:
            flags.append(flag)
        elif isinstance(value, (str, os.PathLike)):
            flags.append(f"{flag}={os.fspath(value)}")
        elif isinstance(value, (int, float)):
            flags.append(f"{flag}={value}")
        elif name in _REPEATED:
            flags += [f"{flag}={each}" for each in value]
        else:
            flags.append(f"{flag}={','.join(str(each) for each in value)}")
    return flags


def _unmount_all() -> None:
    for mounted in list(_live.values()):
        try:
            mounted.unmount()
        except UnmountError as error:
            # The daemon ends with this process, and its log says what is lost.
            _log.error("%s", error)


atexit.register(_unmount_all)
# What a process has mounted is nothing of its children.
os.register_at_fork(after_in_child=_live.clear)
