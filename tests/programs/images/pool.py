"""Processes that examine images: one that crashes or hangs takes nothing with it."""

import multiprocessing
import os
import time
import traceback
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path

from outcome import Finding, Kind


@dataclass
class Image:
    """An image on its way through the harness."""

    name: str
    source: Path
    mounted: Path
    # What is left out since it took too long or ended its process, and how.
    skip: dict[str, str] = field(default_factory=dict)


@dataclass
class Worker:
    process: multiprocessing.process.BaseProcess
    pipe: Connection
    image: Image | None = None
    step: str = ""
    since: float = 0.0


def _work(pipe: Connection) -> None:
    # Imports take a second, so they are the child's.
    import readers
    from examine import examine

    readers.quiet()
    while True:
        try:
            image = pipe.recv()
        except EOFError:
            return
        if image is None:
            return

        def step(name: str) -> None:
            pipe.send(("step", name))

        try:
            findings = examine(image.source, image.mounted, image.skip, step)
        except Exception:  # noqa: BLE001 - a fault of the harness must be seen, not end it
            told = traceback.format_exc().splitlines()
            findings = [Finding(Kind.STUCK, "harness", told[-1], told[-7:-1])]
        pipe.send(("done", findings))


class Pool:
    """`seconds` is how long a step may take."""

    def __init__(self, processes: int, seconds: float) -> None:
        self._context = multiprocessing.get_context("spawn")
        self._seconds = seconds
        self._workers = [self._start() for _ in range(processes)]

    def _start(self) -> Worker:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_work, args=(theirs,), daemon=True)
        process.start()
        theirs.close()
        return Worker(process, ours)

    def examine(self, images: list[Image]) -> Iterator[tuple[Image, list[Finding]]]:
        """What is found of each image, as it is found."""
        waiting = deque(images)
        left = len(images)
        while left > 0:
            for worker in self._workers:
                if worker.image is None and waiting:
                    self._give(worker, waiting.popleft())
            busy = [worker for worker in self._workers if worker.image is not None]
            ready = wait([worker.pipe for worker in busy], timeout=0.5)
            for worker in busy:
                image = worker.image
                assert image is not None
                if worker.pipe in ready:
                    try:
                        kind, told = worker.pipe.recv()
                    except (EOFError, OSError):
                        worker.process.join(5)
                        why = f"ended with {worker.process.exitcode}"
                        if self._replace(worker, why, waiting):
                            left -= 1
                            yield image, stuck(image)
                        continue
                    if kind == "step":
                        worker.step, worker.since = told, time.monotonic()
                        continue
                    worker.image = None
                    left -= 1
                    yield image, told
                elif time.monotonic() - worker.since > self._seconds:
                    why = f"took longer than {self._seconds:g} s"
                    if self._replace(worker, why, waiting):
                        left -= 1
                        yield image, stuck(image)

    def _give(self, worker: Worker, image: Image) -> None:
        # The first step includes the imports of a process that is new.
        worker.image, worker.step, worker.since = image, "start", time.monotonic() + 30
        worker.pipe.send(image)

    def _replace(self, worker: Worker, why: str, waiting: deque[Image]) -> bool:
        """Another process in its place; the image is tried again without that step, or
        given up: then it is true."""
        image = worker.image
        assert image is not None
        worker.process.kill()
        worker.process.join(10)
        worker.pipe.close()
        step = worker.step.split(" ")[0]
        fresh = self._start()
        worker.process, worker.pipe, worker.image = fresh.process, fresh.pipe, None
        # Twice in the same place: there is nothing else to leave out.
        given_up = step in image.skip or step in ("start", "X.json")
        image.skip[step] = f"{worker.step}: {why}"
        if not given_up:
            waiting.appendleft(image)
        return given_up

    def close(self) -> None:
        for worker in self._workers:
            if worker.process.is_alive():
                try:
                    worker.pipe.send(None)
                except OSError:
                    pass
        for worker in self._workers:
            worker.process.join(5)
            if worker.process.is_alive():
                worker.process.kill()


def stuck(image: Image) -> list[Finding]:
    """An image that is given up."""
    return [Finding(Kind.STUCK, step, why) for step, why in image.skip.items()]


def processors() -> int:
    return len(os.sched_getaffinity(0))
