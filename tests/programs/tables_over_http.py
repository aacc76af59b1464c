"""Tables, grids and films over HTTP, by the programs that read them from URLs.

    tables_over_http.py make FOLDER          makes them
    tables_over_http.py read URL/ FOLDER     reads them from URL, and compares with FOLDER
"""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr


def ffmpeg(*arguments):
    quiet = ["ffmpeg", "-v", "error", "-nostdin", "-y"]
    ran = subprocess.run([*quiet, *map(str, arguments)], capture_output=True, check=True)
    assert not ran.stderr, ran.stderr
    return ran.stdout


def make(folder):
    rows = 200_000
    table = pd.DataFrame(
        {
            "time": pd.date_range("2026-01-01", periods=rows, freq="min"),
            "band": np.arange(rows) % 13,
            "value": np.random.default_rng(1).random(rows),
        }
    )
    table.to_parquet(folder / "table.parquet", row_group_size=20_000)
    table.head(20_000).to_csv(folder / "table.csv", index=False)
    values = np.random.default_rng(2).random((20, 200, 200), dtype="f4")
    grid = xr.Dataset({"sst": (("time", "y", "x"), values)})
    chunks = {"sst": {"chunksizes": (1, 100, 100), "zlib": True}}
    grid.to_netcdf(folder / "grid.nc", engine="h5netcdf", encoding=chunks)
    source = ["-f", "lavfi", "-i", "testsrc=duration=6:size=320x240:rate=15"]
    # The index of an MP4 is at its end, unless one asks for it elsewhere.
    ffmpeg(*source, "-pix_fmt", "yuv420p", folder / "film.mp4")


def read(url, folder):
    table = pd.read_parquet(folder / "table.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(url + "table.parquet"), table)
    column = pd.read_parquet(url + "table.parquet", columns=["band"])
    pd.testing.assert_frame_equal(column, table[["band"]])
    csv = pd.read_csv(folder / "table.csv")
    pd.testing.assert_frame_equal(pd.read_csv(url + "table.csv"), csv)
    with (
        xr.open_dataset(folder / "grid.nc", engine="h5netcdf") as grid,
        xr.open_dataset(url + "grid.nc", engine="h5netcdf") as got,
    ):
        xr.testing.assert_identical(got.isel(time=3).load(), grid.isel(time=3).load())
        xr.testing.assert_identical(got.load(), grid.load())
    for seconds in (0, 4.5):
        frame = ["-frames:v", 1, "-f", "md5", "-"]
        at = ["-ss", seconds, "-i"]
        assert ffmpeg(*at, url + "film.mp4", *frame) == ffmpeg(*at, folder / "film.mp4", *frame)
    whole = ["-f", "md5", "-"]
    assert ffmpeg("-i", url + "film.mp4", *whole) == ffmpeg("-i", folder / "film.mp4", *whole)


if sys.argv[1] == "make":
    make(Path(sys.argv[2]))
else:
    read(sys.argv[2], Path(sys.argv[3]))
