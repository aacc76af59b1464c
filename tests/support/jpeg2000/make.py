#!/usr/bin/env python3
"""Makes the JPEG 2000 fixtures, and what OpenJPEG decodes them to.

    apt-get install libopenjp2-tools openjph-tools; pip install numpy rasterio
    make.py OUT_DIR [--all]

For each file there are lines in OUT_DIR/expected.txt: name, level, width, height,
bands, bits (s for signed), and the CRC-32 of `opj_decompress -r LEVEL`'s pixels, interleaved,
little-endian. Lossy files (9/7 or cut layers) have those pixels beside them as
NAME.LEVEL.raw, since decoders may round them differently. geo.txt has what GDAL reads
of the georeferences. `--all` makes many
more; S3MEM_JPEG2000_FIXTURES=OUT_DIR has the tests read them instead.
"""
import argparse
import os
import subprocess
import tempfile
import zlib

import numpy as np


def picture(height: int, width: int, bands: int, bits: int, signed: bool, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    top = (1 << bits) - 1
    out = np.empty((height, width, bands))
    for band in range(bands):
        wave = np.sin(x / (5 + band)) * np.cos(y / 7 + band)
        out[..., band] = (0.5 + 0.55 * wave) * top + rng.normal(0, max(1, top / 400), (height, width))
    if signed:
        out -= 1 << (bits - 1)
    low = -(1 << (bits - 1)) if signed else 0
    return np.clip(np.rint(out), low, low + top).astype(np.int32)


def kind(bits: int, signed: bool) -> np.dtype:
    return np.dtype(("<i" if signed else "<u") + ("1" if bits <= 8 else "2"))


def run(*command: str) -> bool:
    done = subprocess.run(command, capture_output=True, timeout=120)
    return done.returncode == 0


# name: (height, width, bands, bits, signed, options)
SMALL = {
    "gray8.j2k": (45, 67, 1, 8, False, "-n 3"),
    "gray16_tiles_plt_tlm.jp2": (59, 73, 1, 16, False, "-n 4 -t 32,32 -PLT -TLM"),
    "gray16_signed_rpcl.j2k": (61, 83, 1, 16, True, "-n 4 -t 40,24 -p RPCL -PLT"),
    "rgb8_rlcp_parts.jp2": (57, 75, 3, 8, False, "-n 4 -t 32,32 -p RLCP -PLT -TP R"),
    "rgb12_offsets.j2k": (53, 71, 3, 12, False, "-n 4 -d 13,9 -T 3,5 -t 32,32 -PLT -p RPCL -c [16,16],[8,8]"),
    "bands5_pcrl.j2k": (40, 50, 5, 8, False, "-n 3 -t 32,32 -p PCRL -mct 0"),
    "bands2_cprl_sop.j2k": (50, 33, 2, 9, False, "-n 4 -t 20,20 -p CPRL -SOP -EPH"),
    "layers_sop_eph.jp2": (60, 60, 1, 8, False, "-n 4 -t 35,35 -r 20,5,1 -SOP -EPH -PLT"),
    "lossy97.jp2": (48, 52, 3, 8, False, "-n 4 -t 32,32 -I -r 8 -PLT -p RLCP"),
    "lossy53.jp2": (48, 52, 1, 12, False, "-n 4 -r 6 -PLT"),
    "one_pixel.jp2": (1, 1, 1, 8, False, "-n 1"),
    "one_resolution.j2k": (20, 30, 1, 8, False, "-n 1 -t 16,16 -PLT"),
    "modes.j2k": (64, 64, 1, 10, False, "-n 3 -M 63 -b 16,16"),
    "poc.j2k": (64, 64, 1, 8, False, "-n 3 -POC T1=0,0,1,1,1,RLCP/T1=1,0,1,3,1,CPRL"),
    "roi.j2k": (40, 40, 3, 8, False, "-n 3 -t 32,32 -ROI c=1,U=4 -mct 0 -PLT"),
    # Tiles so wide or high that windows of them are decoded.
    "wide_rpcl_plt.j2k": (40, 2100, 1, 8, False, "-n 6 -p RPCL -PLT -c [64,64],[64,64],[32,32]"),
    "wide_lrcp.j2k": (30, 2100, 1, 12, True, "-n 5 -p LRCP"),
    "wide_layers_lrcp.jp2": (24, 2100, 1, 8, False, "-n 4 -p LRCP -r 20,5,1 -c [64,64]"),
    "wide_rlcp_parts.j2k": (24, 2100, 3, 8, False, "-n 4 -p RLCP -TP R -PLT"),
    "tall_pcrl.j2k": (2100, 30, 1, 8, False, "-n 5 -p PCRL -c [32,32] -SOP -EPH"),
    "wide_cprl_offsets.j2k": (
        40, 2100, 3, 8, False, "-n 4 -p CPRL -d 13,9 -T 3,5 -t 2080,32 -c [128,16],[64,16]"),
}


def patch(folder: str) -> None:
    """A texture in the middle of nothing, in precincts of which each is as it would be anywhere in a
    larger image: tests/it/mounted/views/giants.rs puts it there. The lowest resolutions are left out,
    since their precincts would hold more there."""
    import struct

    side, levels = 2048, 6
    y, x = np.mgrid[0:side, 0:side]
    inside = np.maximum(abs(y - 1024), abs(x - 1024)) < 300
    rng = np.random.default_rng(77)
    texture = 128 + 60 * np.sin(x / 9 + y / 23) * np.cos(y / 7 - x / 31) + rng.normal(0, 1.5, (side, side))
    texture += 40 * ((x - 1024) // 64 + 2 * ((y - 1024) // 128)) % 3
    pixels = np.where(inside, np.clip(np.rint(texture), 0, 255), 128).astype(np.uint8)
    path = os.path.join(folder, "patch.j2k")
    with tempfile.NamedTemporaryFile(suffix=".raw") as raw:
        raw.write(pixels.tobytes())
        raw.flush()
        precincts = ",".join(["[256,256]"] * (levels + 1))
        options = f"-n {levels + 1} -p RPCL -PLT -c {precincts}".split()
        assert run("opj_compress", "-i", raw.name, "-F", f"{side},{side},1,8,u", "-o", path, *options)
    with open(path, "rb") as file:
        whole = file.read()
    sot = whole.index(b"\xff\x90\x00\x0a")
    sod = whole.index(b"\xff\x93", sot)
    plt = whole.index(b"\xff\x58", sot)
    (size,) = struct.unpack(">H", whole[plt + 2 : plt + 4])
    assert plt + 2 + size == sod
    lengths, number = [], 0
    for byte in whole[plt + 5 : sod]:
        number = number << 7 | byte & 127
        if byte < 128:
            lengths.append(number)
            number = 0
    at, packets = sod + 2, []
    for length in lengths:
        packets.append(whole[at : at + length])
        at += length
    packets[:3] = [b"\0"] * 3
    digits = b""
    for packet in packets:
        groups = [len(packet) >> shift & 127 for shift in (21, 14, 7, 0) if shift == 0 or len(packet) >> shift]
        digits += bytes(group | 128 for group in groups[:-1]) + bytes(groups[-1:])
    body = b"".join(packets)
    header = b"\xff\x58" + struct.pack(">HB", len(digits) + 3, 0) + digits + b"\xff\x93"
    start = struct.pack(">HHHIBB", 0xFF90, 10, 0, 12 + len(header) + len(body), 0, 1)
    with open(path, "wb") as file:
        file.write(whole[:sot] + start + header + body + b"\xff\xd9")


def many() -> dict:
    found = dict(SMALL)
    sizes = [(1, 1), (1, 37), (41, 1), (7, 5), (64, 64), (97, 130), (200, 171)]
    tiles = ["", "-t 64,64", "-t 33,47", "-t 16,16"]
    orders = ["LRCP", "RLCP", "RPCL", "PCRL", "CPRL"]
    depths = [(1, 8, False), (1, 15, False), (3, 8, False), (2, 12, False), (1, 16, True), (4, 8, False),
              (5, 16, False), (1, 8, True), (3, 16, False), (1, 1, False), (3, 9, True)]
    extras = ["", "-PLT", "-PLT -SOP -EPH", "-PLT -TLM", "-TP R -PLT", "-TP L -r 10,3,1 -PLT", "-r 30,8,1",
              "-r 12,4 -PLT", "-I -r 6 -PLT", "-I -r 20,5", "-c [32,32],[16,16] -PLT", "-c [8,8] -b 4,4",
              "-d 17,11 -PLT", "-d 100,75 -T 90,60 -PLT", "-M 1", "-M 4 -PLT", "-mct 0 -PLT", "-EPH -TLM"]
    number = 0
    for size in sizes:
        for tile in tiles:
            for turn in range(7):
                number += 1
                bands, bits, signed = depths[number % len(depths)]
                extra = extras[(number * 7 + turn) % len(extras)]
                order = orders[(number + turn) % len(orders)]
                levels = 1 + (number * 3 + turn) % 7
                if "-mct" in extra and bands < 3:
                    extra = "-PLT"
                end = ("jp2", "j2k")[number % 2]
                options = f"-n {levels} -p {order} {tile} {extra}"
                found[f"v{number:03}.{end}"] = (*size, bands, bits, signed, options)
    return found


# name: (EPSG, transform of rasterio, options): made by GDAL, with a georeference.
GDAL = {
    "gdal_utm.jp2": (32610, (10, 0, 600000, 0, -10, 4900020), dict(TLM="YES")),
    "gdal_gml_utm.jp2": (32733, (60, 0, 300000, 0, -60, 7600000), dict(GeoJP2="NO")),
    "gdal_gml_4326.jp2": (4326, (0.25, 0, 10, 0, -0.5, 45), dict(GeoJP2="NO")),
    "gdal_gml_3035.jp2": (3035, (20, 0, 4300000, 0, -20, 3200000), dict(GeoJP2="NO")),
    "gdal_geojp2_turned.jp2": (32633, (3, 4, 500000, 4, -3, 5000000), dict(GMLJP2="NO")),
}


def with_gdal(folder: str, lines: list) -> None:
    import rasterio
    from rasterio.shutil import copy

    geo = []
    shape = (72, 90, 1, 15, False, "")
    pixels = picture(*shape[:5], 99).astype(np.uint16)
    for name, (epsg, transform, options) in GDAL.items():
        path = os.path.join(folder, name)
        with tempfile.TemporaryDirectory() as scratch:
            tif = os.path.join(scratch, "scene.tif")
            with rasterio.open(tif, "w", driver="GTiff", width=90, height=72, count=1, dtype="uint16",
                               crs=f"EPSG:{epsg}", transform=rasterio.Affine(*transform)) as out:
                out.write(pixels[..., 0], 1)
            copy(tif, path, driver="JP2OpenJPEG", REVERSIBLE="YES", QUALITY="100", BLOCKXSIZE="64",
                 BLOCKYSIZE="64", RESOLUTIONS="4", PLT="YES", NBITS="15", **options)
        expected(path, shape, pixels, lines, False)
        with rasterio.open(path) as back:
            geo.append(" ".join(map(str, [name, back.crs.to_epsg(), *list(back.transform)[:6]])))
    # With an opacity band, and with a palette, whose colours are what is expected.
    colors = picture(40, 50, 4, 8, False, 5).astype(np.uint8)
    profile = dict(driver="GTiff", width=50, height=40, dtype="uint8")
    lossless = dict(driver="JP2OpenJPEG", REVERSIBLE="YES", QUALITY="100", BLOCKXSIZE="32", BLOCKYSIZE="32",
                    RESOLUTIONS="3", PLT="YES", PROGRESSION="RPCL")
    with tempfile.TemporaryDirectory() as scratch:
        tif, path = os.path.join(scratch, "scene.tif"), os.path.join(folder, "gdal_rgba.jp2")
        with rasterio.open(tif, "w", count=4, photometric="RGB", ALPHA="YES", **profile) as out:
            out.write(colors.transpose(2, 0, 1))
        copy(tif, path, **lossless)
        expected(path, (40, 50, 4, 8, False, ""), colors, lines, False)
        path = os.path.join(folder, "gdal_palette.jp2")
        table = {index: (index, 255 - index, index * 7 % 256, 255) for index in range(256)}
        with rasterio.open(tif, "w", count=1, **profile) as out:
            out.write(colors[..., 0], 1)
            out.write_colormap(1, table)
        copy(tif, path, **lossless)
        shown = np.array([table[index][:3] for index in range(256)], np.uint8)[colors[..., 0]]
        lines.append(f"gdal_palette.jp2 0 50 40 3 8 {zlib.crc32(shown.tobytes()):08x}")
    # More bands than a byte counts.
    many_bands = picture(9, 11, 300, 8, False, 25).astype(np.uint8)
    with tempfile.TemporaryDirectory() as scratch:
        tif, path = os.path.join(scratch, "scene.tif"), os.path.join(folder, "gdal_bands300.jp2")
        small = dict(profile, width=11, height=9)
        with rasterio.open(tif, "w", count=300, photometric="MINISBLACK", **small) as out:
            out.write(many_bands.transpose(2, 0, 1))
        copy(tif, path, **dict(lossless, RESOLUTIONS="2", YCC="NO"))
    lines.append(f"gdal_bands300.jp2 0 11 9 300 8 {zlib.crc32(many_bands.tobytes()):08x}")
    for name in os.listdir(folder):
        if name.endswith(".aux.xml"):
            os.remove(os.path.join(folder, name))
    with open(os.path.join(folder, "geo.txt"), "w") as out:
        out.write("\n".join(geo) + "\n")


def of_known_pixels(folder: str, lines: list) -> None:
    """What is made without loss and known by its source: components of half the size, which are
    repeated, and high-throughput code-blocks."""
    height, width = 46, 70
    planes = [picture(height, width, 1, 8, False, 21)[..., 0].astype(np.uint8)]
    planes += [picture(height // 2, width // 2, 1, 8, False, seed)[..., 0].astype(np.uint8) for seed in (22, 23)]
    name = "sampled_420.j2k"
    with tempfile.NamedTemporaryFile(suffix=".raw") as raw:
        raw.write(b"".join(plane.tobytes() for plane in planes))
        raw.flush()
        size = f"{width},{height},3,8,u@1x1:2x2:2x2"
        options = "-n 3 -t 32,32 -mct 0 -PLT".split()
        assert run("opj_compress", "-i", raw.name, "-F", size, "-o", os.path.join(folder, name), *options)
    wide = [planes[0]] + [plane.repeat(2, 0).repeat(2, 1) for plane in planes[1:]]
    pixels = np.ascontiguousarray(np.dstack(wide))
    lines.append(f"{name} 0 {width} {height} 3 8 {zlib.crc32(pixels.tobytes()):08x}")
    # The same in sYCC, and chroma of full size: by its box, which is no concern of the encoder's.
    for name, shape, options in [("sycc_420.jp2", size, options), ("sycc12.jp2", "31,29,3,12,u", ["-n", "2"])]:
        path = os.path.join(folder, name)
        with tempfile.NamedTemporaryFile(suffix=".raw") as raw:
            pixels = picture(29, 31, 3, 12, False, 26).astype(">u2").transpose(2, 0, 1).tobytes()
            raw.write(pixels if "12" in name else b"".join(plane.tobytes() for plane in planes))
            raw.flush()
            assert run("opj_compress", "-i", raw.name, "-F", shape, "-o", path, "-mct", "0", *options)
        with open(path, "r+b") as file:
            whole = file.read()
            at = whole.index(b"colr") + 4
            file.seek(at + 3)
            assert whole[at] == 1 and whole[at + 3:at + 7] in (b"\0\0\0\x10", b"\0\0\0\x12")
            file.write(b"\0\0\0\x12")
        converted(path, 12 if "12" in name else 8, lines)
    for name, bands, bits, options in [
        ("ht_gray16.j2k", 1, 16, "-num_decomps 3 -tile_size {32,32} -prog_order RPCL"),
        ("ht_rgb8.j2k", 3, 8, "-num_decomps 4 -block_size {16,16} -prog_order CPRL"),
    ]:
        pixels = picture(height, width, bands, bits, False, 24).astype(kind(bits, False))
        with tempfile.NamedTemporaryFile(suffix=".ppm" if bands == 3 else ".pgm") as pnm:
            pnm.write(f"P{6 if bands == 3 else 5} {width} {height} {(1 << bits) - 1}\n".encode())
            pnm.write(pixels.astype(pixels.dtype.newbyteorder(">")).tobytes())
            pnm.flush()
            # The only ending that it takes.
            out = os.path.join(folder, f"{name[:-4]}.j2c")
            call = ["ojph_compress", "-i", pnm.name, "-o", out, "-reversible", "true"]
            assert run(*call, *options.split())
            os.rename(out, os.path.join(folder, name))
        lines.append(f"{name} 0 {width} {height} {bands} {bits} {zlib.crc32(pixels.tobytes()):08x}")


def converted(path: str, bits: int, lines: list) -> None:
    """What OpenJPEG converts to RGB."""
    with tempfile.NamedTemporaryFile(suffix=".rawl") as out:
        assert run("opj_decompress", "-i", path, "-o", out.name, "-force-rgb")
        raw = np.fromfile(out.name, kind(bits, False))
    width, height = (31, 29) if bits == 12 else (70, 46)
    pixels = np.ascontiguousarray(raw.reshape(3, height, width).transpose(1, 2, 0))
    lines.append(f"{os.path.basename(path)} 0 {width} {height} 3 {bits} {zlib.crc32(pixels.tobytes()):08x}")


def expected(path: str, shape: tuple, source: np.ndarray, lines: list, lossy: bool) -> None:
    height, width, bands, bits, signed, _ = shape
    name = os.path.basename(path)
    with tempfile.TemporaryDirectory() as folder:
        for level in range(8):
            out = os.path.join(folder, "out.rawl")
            if os.path.exists(out):
                os.remove(out)
            if not run("opj_decompress", "-i", path, "-o", out, "-r", str(level)) or not os.path.exists(out):
                break
            dump = subprocess.run(["opj_dump", "-i", path], capture_output=True, text=True).stdout
            area = dict(x0=0, y0=0, x1=width, y1=height)
            first = [line for line in dump.splitlines() if "x0=" in line or "x1=" in line][:2]
            for part in " ".join(first).replace(",", " ").split():
                key, value = part.split("=")
                area[key] = int(value)
            ceil = lambda at: -(-at // (1 << level))
            w, h = ceil(area["x1"]) - ceil(area["x0"]), ceil(area["y1"]) - ceil(area["y0"])
            raw = np.fromfile(out, kind(bits, signed))
            if w == 0 or h == 0 or raw.size != w * h * bands:
                break
            if signed:
                # opj_decompress masks the sign's extension away.
                extend = 8 * raw.dtype.itemsize - bits
                raw = (raw << extend) >> extend
            pixels = np.ascontiguousarray(raw.reshape(bands, h, w).transpose(1, 2, 0))
            if level == 0 and not lossy and not np.array_equal(pixels, source):
                # Some tiny images at odd offsets overflow in the encoder: what they
                # decode to is nobody's word.
                break
            sign = "s" if signed else ""
            lines.append(f"{name} {level} {w} {h} {bands} {bits}{sign} {zlib.crc32(pixels.tobytes()):08x}")
            if lossy:
                pixels.tofile(f"{path}.{level}.raw")


def main() -> None:
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("out")
    args.add_argument("--all", action="store_true")
    given = args.parse_args()
    os.makedirs(given.out, exist_ok=True)
    lines: list = []
    for seed, (name, shape) in enumerate((many() if given.all else SMALL).items()):
        height, width, bands, bits, signed, options = shape
        path = os.path.join(given.out, name)
        pixels = picture(height, width, bands, bits, signed, seed)
        with tempfile.NamedTemporaryFile(suffix=".raw") as raw:
            raw.write(pixels.transpose(2, 0, 1).astype(kind(bits, signed).newbyteorder(">")).tobytes())
            raw.flush()
            size = f"{width},{height},{bands},{bits},{'s' if signed else 'u'}"
            if not run("opj_compress", "-i", raw.name, "-F", size, "-o", path, *options.split()):
                print("opj_compress refuses", name, options)
                continue
        lossy = any(word in options.split() for word in ("-I", "-r"))
        before = len(lines)
        expected(path, shape, pixels, lines, lossy)
        if len(lines) == before:
            print("OpenJPEG does not decode what it made of", name, options)
            os.remove(path)
    of_known_pixels(given.out, lines)
    patch(given.out)
    with_gdal(given.out, lines)
    with open(os.path.join(given.out, "expected.txt"), "w") as out:
        out.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
