"""A mosaic without clouds, by Dask: the median over time of a window of many scenes.

    s3mem mount BUCKET /mnt/data
    python examples/dask_mosaic.py /mnt/data 'scenes/*/B04.jp2' 4096 4096 512 512 mosaic.npy

The window is cut into strips, and each worker, a process, makes some of them. It opens siblings, `B04.jp2.npy`, and
reads the rows that it needs. On one mount, tiles that two workers want are fetched and decoded once. Give several mounts
of one bucket, with commas between them, and the workers take turns. Needs: pip install 'dask[distributed]' numpy
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from dask.distributed import Client, LocalCluster


def strip(paths: list[str], column: int, row: int, width: int, height: int) -> np.ndarray:
    """The median of each pixel over all scenes that have measured it (not 0); 0 where none has."""
    stack = np.empty((len(paths), height, width), dtype=np.float32)
    for number, path in enumerate(paths):
        band = np.load(path + ".npy", mmap_mode="r")
        stack[number] = band[row : row + height, column : column + width]
    stack[stack == 0] = np.nan
    measured = ~np.isnan(stack).all(axis=0)
    result = np.zeros((height, width), dtype=np.float32)
    result[measured] = np.nanmedian(stack[:, measured], axis=0)
    return result


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("mounts", help="where the bucket is mounted; several with commas between them")
    parser.add_argument("scenes", help="a pattern of images below it")
    for name in ["column", "row", "width", "height"]:
        parser.add_argument(name, type=int)
    parser.add_argument("out", type=Path, help="where the mosaic goes, as .npy")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--rows", type=int, default=64, help="the height of a strip")
    given = parser.parse_args()
    mounts = [Path(mount) for mount in given.mounts.split(",")]
    scenes = sorted(path.relative_to(mounts[0]) for path in mounts[0].glob(given.scenes))
    if not scenes:
        print(f"nothing below {mounts[0]} is like {given.scenes}", file=sys.stderr)
        return 1
    with LocalCluster(n_workers=given.workers, threads_per_worker=1, dashboard_address=None) as cluster:
        with Client(cluster) as client:
            workers = sorted(client.scheduler_info(n_workers=-1)["workers"])
            strips = []
            for number, start in enumerate(range(0, given.height, given.rows)):
                turn = number % len(workers)
                paths = [str(mounts[turn % len(mounts)] / scene) for scene in scenes]
                rows = min(given.rows, given.height - start)
                window = (given.column, given.row + start, given.width, rows)
                strips.append(client.submit(strip, paths, *window, workers=workers[turn]))
            mosaic = np.concatenate(client.gather(strips))
    np.save(given.out, mosaic)
    print(f"{len(scenes)} scenes, {mosaic.shape[1]} x {mosaic.shape[0]} pixels, mean {mosaic.mean():.1f}: {given.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
