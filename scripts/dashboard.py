#!/usr/bin/env python3
"""Draws the dashboard of docs/grafana.json, as a real Prometheus fills it, without Grafana.

    cargo build --release --locked --bin s3mem --example demo
    scripts/dashboard.py OUT.png

Serves the demo's bucket, mounts it with --metrics, reads and writes for a minute, has Prometheus
ask once a second, and draws what each panel's expressions answer. Needs matplotlib, prometheus,
and a machine that can mount. S3MEM_PROGRAM and S3MEM_DEMO name programs that are built elsewhere.
"""

import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUCKET = "sentinel-s2-l1c"
TILE = "tiles/10/S/DG/2015/12/7/0"
SECONDS = 60
PORT = 9390
PRICES = """date = "2026-01-31"
currency = "USD"
[[region]]
names = ["*"]
put_per_1000 = 0.005
get_per_1000 = 0.0004
egress_per_gb = 0.09
"""


def built(variable, name):
    return os.environ.get(variable) or str(ROOT / "target" / "release" / name)


def work(point, end):
    """What programs do: they read in order and at random, look at images, and write."""
    dice = random.Random(1)
    big = point / "mosaics/2015/10SDG.raw"
    bands = sorted(path.name for path in (point / TILE).glob("*.jp2"))
    step = 0
    while time.monotonic() < end:
        with open(big, "rb") as file:
            file.seek(step * (32 << 20) % (1 << 30))
            file.read(16 << 20)
            for _ in range(20):
                file.seek(dice.randrange(1 << 30))
                file.read(4096)
        band = point / TILE / dice.choice(bands)
        for ending in (".preview.png", ".npy"):
            pathlib.Path(f"{band}{ending}").read_bytes()
        sum(len(files) for _, _, files in os.walk(point / "tiles"))
        (point / f"results-{step}.bin").write_bytes(dice.randbytes(3 << 20))
        if (point / "no-such-file").exists():
            sys.exit("there is a file that nobody has made")
        step += 1
        time.sleep(dice.random())


def ask(path, **parameters):
    query = urllib.parse.urlencode(parameters)
    with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/api/v1/{path}?{query}") as answer:
        told = json.load(answer)
    if told["status"] != "success":
        sys.exit(f"{parameters}: {told}")
    return told["data"]["result"]


def written(value, unit):
    """A number as Grafana writes it in this unit, about."""
    if unit in ("bytes", "Bps"):
        for name in ("B", "KiB", "MiB", "GiB"):
            if value < 1024 or name == "GiB":
                return f"{value:.3g} {name}{'/s' if unit == 'Bps' else ''}"
            value /= 1024
    if unit == "percentunit":
        return f"{value * 100:.3g} %"
    if unit == "s" and 0 < value < 1:
        return f"{value * 1000:.3g} ms"
    ending = {"s": " s", "reqps": "/s"}.get(unit, "")
    return f"{value:.4g}{ending}"


def named(target, labels):
    text = target.get("legendFormat", "")
    for name, value in labels.items():
        text = text.replace("{{" + name + "}}", value)
    return text


def draw(dashboard, begun, ended, out):
    rows = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in dashboard["panels"])
    figure = plt.figure(figsize=(16, rows * 0.42), facecolor="#181b1f", layout="none")
    empty = []
    for panel in dashboard["panels"]:
        at, unit = panel["gridPos"], panel["fieldConfig"]["defaults"].get("unit", "none")
        left, width = at["x"] / 24 + 0.05, at["w"] / 24 - 0.062
        height = at["h"] / rows - 0.032
        axes = figure.add_axes((left, 1 - (at["y"] + at["h"]) / rows + 0.012, width, height))
        axes.set_facecolor("#181b1f")
        axes.set_title(panel["title"], color="#ccccdc", fontsize=9, loc="left")
        axes.tick_params(colors="#8e8e9a", labelsize=7)
        shown = 0
        for target in panel["targets"]:
            query = target["expr"].replace("$instance", ".+").replace("$__rate_interval", "5s")
            if panel["type"] == "stat":
                for one in ask("query", query=query, time=ended):
                    text = written(float(one["value"][1]), unit)
                    axes.text(0.5, 0.55 - shown * 0.4, text, ha="center", va="center",
                              color="#73bf69", fontsize=20)
                    axes.text(0.5, 0.15, named(target, one["metric"]), ha="center",
                              color="#8e8e9a", fontsize=8)
                    shown += 1
                continue
            for one in ask("query_range", query=query, start=begun, end=ended, step=1):
                times = [moment - begun for moment, _ in one["values"]]
                values = [float(value) for _, value in one["values"]]
                axes.plot(times, values, linewidth=1, label=named(target, one["metric"]))
                shown += 1
        if panel["type"] == "stat":
            axes.set_xticks([])
            axes.set_yticks([])
        else:
            axes.set_ylim(bottom=0)
            axes.set_xlim(0, ended - begun)
            axes.yaxis.set_major_formatter(lambda value, _, unit=unit: written(value, unit))
            axes.grid(color="#2c3235", linewidth=0.5)
            if shown:
                axes.legend(fontsize=6.5, loc="upper right", facecolor="#22252b",
                            labelcolor="#ccccdc", edgecolor="#22252b")
        for spine in axes.spines.values():
            spine.set_color("#2c3235")
        if not shown:
            empty.append(panel["title"])
    figure.savefig(out, dpi=80)
    return empty


def main():
    out = sys.argv[1]
    dashboard = json.loads((ROOT / "docs/grafana.json").read_text())
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        folder = pathlib.Path(folder)
        point, running = folder / "mnt", []
        point.mkdir()
        (folder / "prices.toml").write_text(PRICES)
        scrape = {"job_name": "s3mem", "static_configs": [{"targets": [f"127.0.0.1:{PORT + 1}"]}]}
        config = {"global": {"scrape_interval": "1s"}, "scrape_configs": [scrape]}
        (folder / "prometheus.yml").write_text(json.dumps(config))
        program = built("S3MEM_PROGRAM", "s3mem")
        environment = dict(os.environ, XDG_RUNTIME_DIR=str(folder))
        try:
            demo = built("S3MEM_DEMO", "examples/demo")
            server = subprocess.Popen([demo, "--serve"], stdout=subprocess.PIPE, text=True)
            running.append(server)
            for line in server.stdout:
                if line.startswith("export "):
                    name, _, value = line.removeprefix("export ").strip().partition("=")
                    environment[name] = value
                    if name == "AWS_SECRET_ACCESS_KEY":
                        break
            subprocess.run(
                [program, "mount", BUCKET, str(point), "--writes", "upload", "--memory", "256M",
                 "--metrics", str(PORT + 1), "--prices", str(folder / "prices.toml"),
                 "--cache-dir", str(folder / "cache"), "--log-file", str(folder / "log")],
                env=environment, check=True)
            running.append(subprocess.Popen(
                ["prometheus", f"--config.file={folder}/prometheus.yml",
                 f"--storage.tsdb.path={folder}/tsdb", f"--web.listen-address=127.0.0.1:{PORT}"],
                stderr=subprocess.DEVNULL))
            time.sleep(2)
            begun = time.time()
            work(point, time.monotonic() + SECONDS)
            empty = draw(dashboard, begun, time.time(), out)
        finally:
            if os.path.ismount(point):
                subprocess.run([program, "umount", str(point)], env=environment, check=False)
            for process in running:
                process.terminate()
                process.wait()
    if empty:
        sys.exit(f"nothing is told by: {', '.join(empty)}")


if __name__ == "__main__":
    main()
