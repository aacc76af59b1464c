"""What is mounted, and how it is."""

from __future__ import annotations

import json
import logging
import os
from typing import Any

from . import _mount
from ._errors import Error
from ._program import run

_log = logging.getLogger("s3mem")

_PENDING = 3
"""The program's exit status when files are not in the bucket yet."""


def status(path: str | os.PathLike[str] | None = None) -> list[dict[str, Any]]:
    """The mounts of this user, or the one at ``path``, as ``s3mem status --json`` tells them.

    Each is a ``dict`` with ``source``, ``mount_point``, ``pid``, ``requests``, ``pending`` and more.
    Those in a user namespace are listed only if this process has made them. A mount that does not
    answer is left out, with a warning in the log ``s3mem``.
    """
    if path is not None:
        return _ask(os.fspath(path))
    found = _ask()
    for mounted in list(_mount._live.values()):
        if str(mounted.path).startswith("/proc/"):
            found += _ask(str(mounted.path))
    return found


def _ask(*path: str) -> list[dict[str, Any]]:
    ran = run(["status", "--json", "--", *path])
    if ran.status not in (0, _PENDING):
        if path or ran.status != 1:
            raise Error(ran.sentence)
        # Those of all mounts that answer.
        _log.warning("%s", ran.sentence)
    found: list[dict[str, Any]] = [json.loads(line) for line in ran.output.splitlines()]
    for each in found:
        if path and path[0].startswith("/proc/"):
            # As this process sees it.
            each["mount_point"] = path[0]
    return found
