"""One decode in a process of its own: prints seconds, processor seconds and MiB at most.

    measure.py THREADS DECODER FILE [LEFT TOP EDGE]

Prints nothing if the decoder is not there or can't do this.
"""
import os
import resource
import shutil
import subprocess
import sys
import time

SCRATCH = f"/dev/shm/decode-bench-{os.getpid()}"


def command(decoder: str, path: str, window: list[int], threads: int) -> list[str] | None:
    if decoder == "s3mem":
        return [os.environ["DECODE_BENCH"], "--decode", path, *map(str, window)]
    if decoder == "opj_decompress" and not path.endswith("_ht.j2c"):
        call = ["opj_decompress", "-i", path, "-o", SCRATCH + ".rawl", "-threads", str(threads)]
        left, top, edge = window or (0, 0, 0)
        return call + (["-d", f"{left},{top},{left + edge},{top + edge}"] if window else [])
    if decoder == "ojph_expand" and path.endswith("_ht.j2c") and not window:
        return ["ojph_expand", "-i", path, "-o", SCRATCH + ".pgm"]
    return None


def of_program(call: list[str]) -> None:
    if shutil.which(call[0]) is None:
        return
    start = time.perf_counter()
    subprocess.run(call, check=True, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - start
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def of_rasterio(path: str, window: list[int], threads: int) -> None:
    import numpy as np
    import rasterio
    from rasterio.windows import Window

    before = resource.getrusage(resource.RUSAGE_SELF)
    start = time.perf_counter()
    with rasterio.Env(GDAL_NUM_THREADS=str(threads)), rasterio.open(path) as image:
        at = Window(window[0], window[1], window[2], window[2]) if window else None
        pixels = image.read(window=at)
    seconds = time.perf_counter() - start
    used = resource.getrusage(resource.RUSAGE_SELF)
    assert isinstance(pixels, np.ndarray)
    processor = used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime
    print(seconds, processor, used.ru_maxrss / 1024)


def main() -> None:
    threads, decoder, path = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    window = [int(word) for word in sys.argv[4:7]]
    if threads == 1:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with open(path, "rb") as file:
        while file.read(1 << 24):
            pass
    if decoder == "rasterio":
        of_rasterio(path, window, threads)
    elif call := command(decoder, path, window, threads):
        try:
            of_program(call)
        finally:
            for ending in (".rawl", ".pgm"):
                if os.path.exists(SCRATCH + ending):
                    os.remove(SCRATCH + ending)


if __name__ == "__main__":
    main()
