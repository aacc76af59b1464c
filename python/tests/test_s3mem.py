"""The installed package against a server. The Rust test it::packages starts both.

The bucket "tiles" holds "readme" ("hello"), "many/0" to "many/19" (their own numbers) and
"B01.jp2". S3MEM_TEST_ROOTLESS=1 says that only a user namespace is left.
"""

import asyncio
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import time
import unittest
import warnings
from pathlib import Path
from typing import Any, Callable

import s3mem

ROOTLESS = os.environ.get("S3MEM_TEST_ROOTLESS") == "1"


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def is_mounted(path: Path) -> bool:
    # Not by looking for a folder: one that was made for the mount goes a moment after it.
    return (path / "readme").exists()


def python(code: str) -> "subprocess.Popen[str]":
    words = [sys.executable, "-c", "import s3mem, os, sys, time\n" + code]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True)


class Dataset:
    """Like those of PyTorch: it is sent to the workers as a whole."""

    def __init__(self, mounted: s3mem.Mount) -> None:
        self.mounted = mounted

    def __len__(self) -> int:
        return 20

    def __getitem__(self, index: int) -> int:
        return int((self.mounted.path / "many" / str(index)).read_text())


def work(dataset: Dataset, asked: Any, answers: Any) -> None:
    """A worker of a data loader, which ends as Python ends."""
    for index in iter(asked.get, None):
        answers.put((index, dataset[index]))
    dataset.mounted.unmount()


def load(dataset: Dataset, method: str) -> "dict[int, int]":
    context = multiprocessing.get_context(method)
    asked, answers = context.Queue(), context.Queue()
    workers = [context.Process(target=work, args=(dataset, asked, answers)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for index in range(len(dataset)):
        asked.put(index)
    for _ in workers:
        asked.put(None)
    found = dict(answers.get(timeout=60) for _ in range(len(dataset)))
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0, worker
    return found


def read_number(path: Path) -> int:
    return int(path.read_text())


class Mounting(unittest.TestCase):
    def test_a_block_has_the_files_and_leaves_nothing(self) -> None:
        with s3mem.mount("tiles") as path:
            self.assertIsInstance(path, Path)
            self.assertEqual((path / "readme").read_text(), "hello")
            self.assertEqual(str(path).startswith("/proc/"), ROOTLESS)
            self.assertEqual(len(list((path / "many").iterdir())), 20)
        self.assertFalse(is_mounted(path))
        until(lambda: not path.exists())

    def test_a_folder_of_ones_own_stays(self) -> None:
        folder = Path(os.environ["HOME"], "own")
        folder.mkdir()
        with s3mem.mount("s3://tiles/many", at=folder) as path:
            self.assertEqual((path / "7").read_text(), "7")
            if not ROOTLESS:
                self.assertEqual(path, folder)
        self.assertEqual(list(folder.iterdir()), [])
        folder.rmdir()

    def test_several_buckets_and_all_of_them_are_folders(self) -> None:
        with s3mem.mount(["tiles", "tiles/many"]) as path:
            self.assertEqual(sorted(os.listdir(path)), ["many", "tiles"])
            self.assertEqual((path / "many" / "3").read_text(), "3")
            self.assertEqual((path / "tiles" / "readme").read_text(), "hello")
        self.assertFalse((path / "tiles").exists())
        with s3mem.mount("s3://") as path:
            self.assertEqual((path / "tiles" / "readme").read_text(), "hello")

    def test_exceptions_and_keys_end_a_block_too(self) -> None:
        for kind in (ValueError, KeyboardInterrupt):
            with self.assertRaises(kind):
                with s3mem.mount("tiles") as path:
                    raise kind
            self.assertFalse(is_mounted(path))

    def test_what_is_written_is_read_in_memory(self) -> None:
        with s3mem.mount("tiles", writes="memory", memory="128M") as path:
            (path / "out.txt").write_text("written")
            self.assertEqual((path / "out.txt").read_text(), "written")
            [status] = s3mem.status(path)
            self.assertEqual((status["writes"], status["pending"]), ("memory", []))
        with s3mem.mount("tiles") as path:
            self.assertFalse((path / "out.txt").exists())

    def test_without_a_block_it_lasts_until_it_is_unmounted(self) -> None:
        async def in_a_notebook() -> s3mem.Mount:
            return s3mem.mount("tiles", list_views=["png", "json"])

        mounted = asyncio.run(in_a_notebook())
        self.assertTrue((mounted.path / "B01.jp2.png").exists())
        self.assertIn("B01.jp2.json", os.listdir(mounted))
        self.assertNotIn("B01.jp2.tif", os.listdir(mounted))
        self.assertIn("tiles", repr(mounted))
        mounted.unmount()
        mounted.unmount()
        self.assertFalse(is_mounted(mounted.path))

    def test_a_file_that_is_still_open_is_named_and_the_mount_goes(self) -> None:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            with s3mem.mount("tiles") as path:
                file = open(path / "readme")
        file.close()
        said = [str(warning.message) for warning in caught if warning.category is RuntimeWarning]
        self.assertEqual(len(said), 1, said)
        self.assertIn("is in use", said[0])
        until(lambda: not is_mounted(path))


class Processes(unittest.TestCase):
    def test_the_end_of_python_ends_a_mount(self) -> None:
        code = "print(s3mem.mount('tiles').path)"
        ran = python(code)
        path = Path(ran.communicate()[0].strip())
        self.assertTrue(path.name)
        self.assertFalse(is_mounted(path))

    def test_the_sudden_end_of_python_does_too(self) -> None:
        ran = python("print(s3mem.mount('tiles').path, flush=True); sys.stdin.read()")
        assert ran.stdout and ran.stdin
        path = Path(ran.stdout.readline().strip())
        self.assertTrue(is_mounted(path))
        ran.kill()
        ran.wait()
        until(lambda: not is_mounted(path))
        ran.stdout.close()
        ran.stdin.close()

    def test_a_forked_child_leaves_the_mount_alone(self) -> None:
        with s3mem.mount("tiles") as path:
            child = os.fork()
            if child == 0:
                try:
                    mine = [each for each in s3mem.status() if each["mount_point"] == str(path)]
                    assert ROOTLESS or mine
                    raise RuntimeError
                except RuntimeError:
                    # As sys.exit does it, with all that is registered for the end.
                    import atexit

                    atexit._run_exitfuncs()
                    os._exit(0)
            self.assertEqual(os.waitpid(child, 0)[1], 0)
            self.assertTrue(is_mounted(path))
            code = "with s3mem.mount('tiles') as path:\n if os.fork() == 0: sys.exit(7)\n os.wait(); print((path / 'readme').read_text())"
            self.assertEqual(python(code).communicate()[0], "hello\n")

    def test_pools_of_processes_read_the_files(self) -> None:
        for method in ("fork", "spawn"):
            with s3mem.mount("tiles/many") as path:
                with multiprocessing.get_context(method).Pool(2) as pool:
                    numbers = pool.map(read_number, [path / str(index) for index in range(20)])
                self.assertEqual(numbers, list(range(20)))
                self.assertEqual((path / "3").read_text(), "3")

    def test_workers_of_a_data_loader_read_the_files_and_leave_the_mount(self) -> None:
        mounted = s3mem.mount("tiles")
        dataset = Dataset(mounted)
        for method in ("fork", "spawn"):
            self.assertEqual(load(dataset, method), {index: index for index in range(20)})
            self.assertTrue(is_mounted(mounted.path))
        self.assertEqual(pickle.loads(pickle.dumps(mounted)).path, mounted.path)
        mounted.unmount()

    def test_the_module_is_the_program(self) -> None:
        for words in ([s3mem.program()], [sys.executable, "-m", "s3mem"]):
            ran = subprocess.run([*words, "--version"], capture_output=True, text=True)
            self.assertEqual(ran.stdout, f"s3mem {s3mem.__version__}\n")
        ran = subprocess.run([sys.executable, "-m", "s3mem", "umount", "/nowhere"], capture_output=True)
        self.assertEqual(ran.returncode, 1)


class Telling(unittest.TestCase):
    def test_errors_are_the_programs_sentences(self) -> None:
        for source, options, part in [
            ("no-such-bucket", {}, 'there is no bucket "no-such-bucket"'),
            ("tiles", {"memory": "12"}, "--memory"),
            ("tiles", {"no_such_option": True}, "--no-such-option"),
            ("--read-only", {}, "--read-only"),
        ]:
            with self.assertRaises(s3mem.MountError) as caught:
                s3mem.mount(source, **options)
            self.assertIn(part, str(caught.exception))
            self.assertFalse(str(caught.exception).startswith("s3mem: "))
            self.assertNotIsInstance(caught.exception, s3mem.CannotMount)
        with self.assertRaises(s3mem.Error):
            s3mem.status("/nowhere")

    def test_the_status_is_that_of_all_mounts(self) -> None:
        with s3mem.mount("tiles") as path, s3mem.mount("tiles/many") as second:
            (path / "readme").read_text()
            found = {each["mount_point"]: each for each in s3mem.status()}
            self.assertLessEqual({str(path), str(second)}, set(found))
            self.assertEqual(found[str(second)]["source"], "s3://tiles/many")
            self.assertGreaterEqual(found[str(path)]["requests"]["get_requests"], 1)

    def test_a_mount_that_has_gone_by_itself_is_no_error(self) -> None:
        with s3mem.mount("tiles") as path:
            os.kill(s3mem.status(path)[0]["pid"], signal.SIGTERM)
            until(lambda: not is_mounted(path))


if __name__ == "__main__":
    unittest.main()
