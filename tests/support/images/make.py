#!/usr/bin/env python3
"""Makes the images that tests/support/images has, and what other readers see in them.

    pip install numpy pillow opencv-python-headless OpenEXR rasterio tifffile imagecodecs pyjpegls astropy pydicom
    apt install libjpeg-turbo-progs
    python make.py [PART...]

Without a PART it makes all of them; a PART is a function below, whose images are made
again, or for the first time, while those of all others stay as they are.

For each image NAME there is NAME.raw: the pixels (H, W, bands), little endian, as the
writer was given them (lossless formats) or as Pillow or OpenCV read them back (lossy
and HDR). `index.txt` has a line each: name, codec, width, height, bands, dtype, color,
how far a sample may be off.
"""
import io
import os
import struct
import subprocess
import sys
import zlib

import cv2
import imagecodecs
import jpeg_ls
import numpy as np
import OpenEXR
import pydicom
import rasterio
import tifffile
from astropy.io import fits
from PIL import Image
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate, encapsulate_extended
from rasterio.transform import from_origin

HERE = os.path.dirname(os.path.abspath(__file__))
W, H = 19, 13
rng = np.random.default_rng(7)
index = []


def noise(bands, dtype, width=W, height=H):
    shape = (height, width, bands)
    if np.issubdtype(dtype, np.floating):
        return rng.normal(0, 1000, shape).astype(dtype)
    limits = np.iinfo(dtype)
    return rng.integers(limits.min, limits.max, shape, dtype, endpoint=True)


def smooth(bands):
    y, x = np.mgrid[0:H, 0:W]
    planes = [128 + 100 * np.sin(x / 7 + k) * np.cos(y / 5 + k) for k in range(bands)]
    return np.dstack(planes).astype(np.uint8)


def add(name, codec, color, pixels, data=None, off=0, dtype=None):
    pixels = pixels.reshape(pixels.shape[0], pixels.shape[1], -1)
    dtype = np.dtype(dtype or pixels.dtype)
    if data is not None:
        with open(f"{HERE}/{name}", "wb") as file:
            file.write(data)
    pixels.astype(dtype.newbyteorder("<")).tofile(f"{HERE}/{name}.raw")
    h, w, b = pixels.shape
    index.append(f"{name} {codec} {w} {h} {b} {dtype.name} {color} {off}")


def saved(image, *args, **options):
    out = io.BytesIO()
    image.save(out, *args, **options)
    return out.getvalue()


def pil(array, *args, **options):
    return saved(Image.fromarray(array.squeeze()), *args, **options)


def opened(data, mode):
    return np.asarray(Image.open(io.BytesIO(data)).convert(mode))


def paletted(colors):
    image = Image.fromarray(rng.integers(0, colors, (H, W), dtype=np.uint8), "P")
    image.putpalette(rng.integers(0, 256, 3 * colors, dtype=np.uint8).tobytes())
    return image


def pngs():
    for name, bands, color in [("gray", 1, "gray"), ("ga", 2, "gray_alpha"), ("rgb", 3, "rgb"), ("rgba", 4, "rgba")]:
        a = noise(bands, np.uint8)
        add(f"{name}8.png", "png", color, a, pil(a, "PNG"))
    for name, order, color in [("gray", [0], "gray"), ("rgb", [2, 1, 0], "rgb"), ("rgba", [2, 1, 0, 3], "rgba")]:
        a = noise(len(order), np.uint16)
        add(f"{name}16.png", "png", color, a, cv2.imencode(".png", a[:, :, order])[1].tobytes())
    a = rng.integers(0, 2, (H, W)).astype(bool)
    add("gray1.png", "png", "gray", a.astype(np.uint8) * 255, pil(a, "PNG"))
    palette = paletted(7)
    for name, more, mode in [("palette.png", {}, "RGB"), ("palette_alpha.png", {"transparency": 3}, "RGBA")]:
        data = saved(palette, "PNG", **more)
        add(name, "png", mode.lower(), opened(data, mode), data)
    data = saved(palette, "GIF")
    add("palette.gif", "gif", "rgba", opened(data, "RGBA"), data)
    data = saved(palette, "GIF", save_all=True, append_images=[paletted(7)])
    add("two_frames.gif", "gif", "rgba", opened(data, "RGBA"), data)


def jpegs():
    kinds = [("gray", 1, {}), ("rgb444", 3, {"subsampling": 0}), ("rgb420", 3, {"subsampling": 2}),
             ("progressive", 3, {"progressive": True, "subsampling": 0}),
             ("restarts", 3, {"restart_marker_blocks": 2, "subsampling": 0})]
    for name, bands, options in kinds:
        data = pil(smooth(bands), "JPEG", quality=90, **options)
        mode, color = ("L", "gray") if bands == 1 else ("RGB", "rgb")
        add(f"{name}.jpg", "jpeg", color, opened(data, mode), data)
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "x" * 30000  # the frame header lies behind the first 16 KiB
    data = pil(smooth(3), "JPEG", quality=90, subsampling=0, exif=exif)
    add("rotated.jpg", "jpeg", "rgb", opened(data, "RGB"), data)
    data = saved(Image.fromarray(smooth(4), "CMYK"), "JPEG")
    add("cmyk.jpg", "jpeg", "cmyk", opened(data, "CMYK"), data)


# What a scan has of each component: all at once, each alone, chroma together.
SCANS = {
    "": None,
    "_alone": "0;\n1;\n2;\n",
    "_chroma": "0;\n1,2;\n",
    "_progressive": "0: 0-0,0,1;\n1: 0-0,0,1;\n2: 0-0,0,1;\n0: 1-63,0,2;\n1: 1-63,0,0;\n2: 1-63,0,0;\n"
                    "0: 1-63,2,1;\n0: 0-0,1,0;\n1: 0-0,1,0;\n2: 0-0,1,0;\n0: 1-63,1,0;\n",
}


def cjpeg(a, sampling, scans="", *options):
    """With libjpeg-turbo's program, which is asked for each component's sampling."""
    source = saved(Image.fromarray(a), "PPM")
    command = ["cjpeg", "-quality", "88", "-sample", sampling, *options]
    if SCANS[scans]:
        with open("/tmp/scans.txt", "w") as file:
            file.write(SCANS[scans])
        command += ["-scans", "/tmp/scans.txt"]
    return subprocess.run(command, input=source, capture_output=True, check=True).stdout


def sampled_jpegs():
    """Each kind of sampling, in one scan or in several. Which of its components is
    smaller does not matter to the library that most readers have; it gives them all."""
    rough = (smooth(3) // 2 + noise(3, np.uint8) // 8).astype(np.uint8)
    luma_first = ["2x1,1x1,1x1", "1x2,1x1,1x1", "2x2,1x1,1x1", "4x1,1x1,1x1", "1x4,1x1,1x1", "4x2,1x1,1x1"]
    thirds = ["3x1,1x1,1x1", "1x3,1x1,1x1", "3x2,1x1,1x2"]
    odd = ["1x1,1x1,2x2", "1x1,2x1,2x1", "1x1,2x2,2x2", "2x1,2x2,2x2", "2x2,1x2,1x2", "2x2,2x1,1x1", "2x2,2x2,2x2",
           "1x2,2x1,1x1", "4x1,2x1,1x1"]
    for sampling in luma_first + thirds + odd:
        for scans in SCANS:
            blocks = sum(int(c[0]) * int(c[2]) for c in sampling.split(","))
            if blocks > 10 and scans in ("", "_chroma"):
                continue
            data = cjpeg(rough, sampling, scans)
            name = f"sampled_{sampling.replace(',', '_')}{scans}.jpg"
            add(name, "jpeg", "rgb", opened(data, "RGB"), data)
    data = cjpeg(rough, "2x2,1x1,1x1", "_alone", "-restart", "1B")
    add("sampled_restarts_alone.jpg", "jpeg", "rgb", opened(data, "RGB"), data)


def segments(data):
    """The marker of each segment before the first scan, and the place behind it."""
    at = 2
    while data[at + 1] != 0xDA:
        yield data[at + 1], at
        at += 2 + int.from_bytes(data[at + 2:at + 4], "big")
    yield 0xDA, at


def odd_jpegs():
    """What other readers read although it is rare, or not quite right."""
    data = cjpeg(smooth(3), "1x1,1x1,1x1", "_alone")
    seen = opened(data, "RGB")
    place = dict(segments(data))
    # The height behind the first scan (DNL). The scan ends where the next one begins.
    end = data.index(b"\xff\xda", place[0xDA] + 2)
    end = min(end, data.index(b"\xff\xc4", place[0xDA] + 2)) if b"\xff\xc4" in data[place[0xDA]:] else end
    late = data[:end] + b"\xff\xdc\x00\x04" + struct.pack(">H", H) + data[end:]
    late = late[:place[0xC0] + 5] + bytes(2) + late[place[0xC0] + 7:]
    add("height_behind.jpg", "jpeg", "rgb", seen, late)
    before = data[:place[0xDA]] + b"\x00\x17" + data[place[0xDA]:]
    add("stray_bytes.jpg", "jpeg", "rgb", opened(before, "RGB"), before)
    short = data[:2] + b"\xff\xee\x00\x09Adobe\x00\x64" + data[2:]
    add("short_app14.jpg", "jpeg", "rgb", opened(short, "RGB"), short)
    # The segment of the restart interval has four bytes more than it should.
    data = pil(smooth(3), "JPEG", quality=90, restart_marker_blocks=2, subsampling=0)
    at = dict(segments(data))[0xDD]
    long = data[:at + 2] + b"\x00\x08" + data[at + 4:at + 6] + bytes(4) + data[at + 6:]
    add("long_dri.jpg", "jpeg", "rgb", opened(data, "RGB"), long)
    # Without the tables of codes that motion JPEG leaves out.
    data = pil(smooth(3), "JPEG", quality=90, optimize=False)
    at = [at for marker, at in segments(data) if marker == 0xC4] + [dict(segments(data))[0xDA]]
    add("no_codes.jpg", "jpeg", "rgb", opened(data, "RGB"), data[:at[0]] + data[at[-1]:])
    for transform, space in [("cmyk", "CMYK"), ("ycck", "YCCK")]:
        data = imagecodecs.jpeg8_encode(smooth(4), level=90, colorspace="CMYK", outcolorspace=space, subsampling="420")
        add(f"{transform}_420.jpg", "jpeg", "cmyk", opened(data, "CMYK"), data)
    data = imagecodecs.jpeg8_encode(smooth(3), level=90, colorspace="RGB", outcolorspace="RGB")
    add("stored_rgb.jpg", "jpeg", "rgb", opened(data, "RGB"), data)
    deep = [smooth(bands).astype(np.uint16) * 16 + 7 for bands in (1, 3)]
    for a, color in zip(deep, ("gray", "rgb")):
        data = imagecodecs.jpeg8_encode(a.squeeze(), level=90, bitspersample=12, subsampling="420")
        add(f"twelve_{color}.jpg", "jpeg", color, imagecodecs.jpeg8_decode(data), data)
    for predictor in range(1, 8):
        a = deep[1] << 4
        data = imagecodecs.jpeg8_encode(a, lossless=True, predictor=predictor, bitspersample=16)
        add(f"lossless_{predictor}.jpg", "jpeg", "rgb", a, data)
    a = smooth(1)
    data = imagecodecs.jpeg8_encode(a.squeeze(), lossless=True, predictor=1, bitspersample=8)
    add("lossless_gray.jpg", "jpeg", "gray", a, data)


def arithmetic_jpegs():
    """Arithmetic coding, sequential and progressive; large and rough ones meet each estimate."""
    small = smooth(3)
    y, x = np.mgrid[0:150, 0:230]
    large = np.dstack([128 + 90 * np.sin(x / 9 + y * k / 31) + rng.normal(0, 4 + 12 * (x > 120), x.shape) for k in range(3)])
    large = large.clip(0, 255).astype(np.uint8)
    for name, a, sampling, scans, options in [
        ("arithmetic", small, "2x2,1x1,1x1", "", []),
        ("arithmetic_large", large, "1x1,1x1,1x1", "", ["-quality", "97"]),
        ("arithmetic_rough", large, "2x1,1x1,1x1", "", ["-quality", "40"]),
        ("arithmetic_alone", large, "2x2,1x1,1x1", "_alone", []),
        ("arithmetic_restarts", large, "2x2,1x1,1x1", "", ["-restart", "3B"]),
        ("arithmetic_progressive", large, "2x2,1x1,1x1", "_progressive", []),
        ("arithmetic_progressive_usual", large, "1x1,1x1,1x1", "", ["-progressive", "-quality", "95", "-restart", "2"]),
    ]:
        data = cjpeg(a, sampling, scans, "-arithmetic", *options)
        add(f"{name}.jpg", "jpeg", "rgb", opened(data, "RGB"), data)


def jpeg_lss():
    """JPEG-LS: components in turn, line by line, sample by sample; exact and nearly."""
    rough = [(smooth(bands) // 2 + noise(bands, np.uint8) // 16).astype(np.uint8) for bands in (1, 3, 4)]
    flat = np.kron(noise(3, np.uint8, 4, 4), np.ones((4, 5, 1), np.uint8))[:H, :W]
    for name, a in [("gray", rough[0]), ("rgb", rough[1]), ("four", rough[2]), ("flat", flat),
                    ("twelve", rough[0].astype(np.uint16) * 16 + 5), ("sixteen", noise(3, np.uint16))]:
        for near in (0, 3):
            color = {1: "gray", 3: "rgb", 4: "bands"}[a.shape[2]]
            data = imagecodecs.jpegls_encode(a.squeeze(), level=near)
            add(f"ls_{name}_{near}.jls", "jpeg", color, imagecodecs.jpegls_decode(data), data)
    for mode in (0, 1, 2):
        a = np.ascontiguousarray(flat.transpose(2, 0, 1)) if mode == 0 else flat
        data = bytes(jpeg_ls.encode_array(a, interleave_mode=mode))
        add(f"ls_mode{mode}.jls", "jpeg", "rgb", flat, data)


def webps():
    for bands, mode in [(3, "RGB"), (4, "RGBA")]:
        data = pil(noise(bands, np.uint8), "WEBP", lossless=True, exact=True)
        add(f"{mode.lower()}_lossless.webp", "webp", mode.lower(), opened(data, mode), data)
    data = pil(smooth(3), "WEBP", quality=90)
    add("lossy.webp", "webp", "rgb", opened(data, "RGB"), data, 3)


def qoi(a):
    """Runs and literals only: what the format allows any encoder to do."""
    h, w, bands = a.shape
    out = bytearray(b"qoif" + struct.pack(">IIBB", w, h, bands, 0))
    last, run = (0, 0, 0, 255), 0
    for pixel in [tuple(p) if bands == 4 else (*p, 255) for p in a.reshape(-1, bands).tolist()]:
        if pixel == last and run < 62:
            run += 1
            continue
        if run:
            out.append(0xC0 | (run - 1))
        run = int(pixel == last)
        if not run:
            out += bytes((0xFE, *pixel[:3])) if pixel[3] == last[3] else bytes((0xFF, *pixel))
        last = pixel
    if run:
        out.append(0xC0 | (run - 1))
    return bytes(out) + bytes(7) + b"\x01"


def simple():
    a = noise(3, np.uint8)
    add("rgb.bmp", "bmp", "rgb", a, pil(a, "BMP"))
    data = saved(paletted(9), "BMP")
    add("palette.bmp", "bmp", "rgb", opened(data, "RGB"), data)
    for name, bands in [("gray", 1), ("rgb", 3), ("rgba", 4)]:
        a = noise(bands, np.uint8)
        add(f"{name}.tga", "tga", name, a, pil(a, "TGA"))
        a = np.repeat(a, 3, axis=1)[:, :W]
        add(f"{name}_rle.tga", "tga", name, a, pil(a, "TGA", compression="tga_rle"))
    for name, kind, bands in [("gray", "P5", 1), ("rgb", "P6", 3)]:
        for dtype, top in [(">u1", 255), (">u2", 65535)]:
            a = noise(bands, np.dtype(dtype[1:]))
            data = f"{kind}\n# a comment\n{W} {H}\n{top}\n".encode() + a.astype(dtype).tobytes()
            add(f"{name}{8 * a.itemsize}.pnm", "pnm", name, a, data)
    a = noise(1, np.uint8)
    add("ascii.pgm", "pnm", "gray", a, f"P2 {W} {H} 255\n{' '.join(map(str, a.ravel()))}\n".encode())
    bits = rng.integers(0, 2, (H, W), dtype=np.uint8)
    data = f"P4\n{W} {H}\n".encode() + np.packbits(bits, axis=1).tobytes()
    add("bits.pbm", "pnm", "gray", (1 - bits) * 255, data)
    a = noise(4, np.uint8)
    head = f"P7\nWIDTH {W}\nHEIGHT {H}\nDEPTH 4\nMAXVAL 255\nTUPLTYPE RGB_ALPHA\nENDHDR\n"
    add("rgba.pam", "pnm", "rgba", a, head.encode() + a.tobytes())
    a = noise(1, np.uint16) >> 4
    add("twelve.pgm", "pnm", "unsupported", a, f"P5\n{W} {H}\n4095\n".encode() + a.astype(">u2").tobytes())
    for bands, color in [(3, "rgb"), (4, "rgba")]:
        a = np.repeat(noise(bands, np.uint8), 3, axis=1)[:, :W]
        add(f"{color}.qoi", "qoi", color, a, qoi(a))


def bitmap(bits, rows, palette=(), compression=0, header=40, height=H, used=0):
    """A bitmap as Windows or OS/2 has it, by the length of its second header."""
    if header == 12:
        fields = struct.pack("<IHHHH", header, W, height, 1, bits)
        colors = b"".join(bytes([b, g, r]) for r, g, b in palette)
    else:
        fields = struct.pack("<IiiHHIIiiII", header, W, height, 1, bits, compression, len(rows), 2835, 2835, used, 0)
        fields = fields[:header].ljust(header, b"\0")
        colors = b"".join(bytes([b, g, r, 0]) for r, g, b in palette)
    offset = 14 + len(fields) + len(colors)
    return b"BM" + struct.pack("<IHHI", offset + len(rows), 0, 0, offset) + fields + colors + rows


def packed(numbers, bits):
    rows = b""
    for row in numbers:
        row = np.unpackbits(row.astype(np.uint8)[:, None], axis=1)[:, 8 - bits:].ravel()
        row = np.packbits(row).tobytes()
        rows += row.ljust((W * bits + 31) // 32 * 4, b"\0")
    return rows


def runs(numbers, small, skips):
    """Run-length coded rows, from the lowest; what is skipped becomes 0 in `numbers`."""
    out = b""
    for row in numbers[::-1]:
        x = 0
        while x < W:
            way, left = rng.integers(0, 4), W - x
            if way == 0 and skips and left > 3:
                out += bytes([0, 2, 3, 0])
                row[x:x + 3] = 0
                x += 3
            elif way == 1 and skips and x > 9:
                row[x:] = 0
                break
            elif way == 2 and left >= 3:
                count = int(min(left, rng.integers(3, 9)))
                values = row[x:x + count].tolist()
                if small:
                    values = [a << 4 | b for a, b in zip(values[::2], values[1::2] + [0])]
                out += bytes([0, count, *values]) + bytes(len(values) % 2)
                x += count
            else:
                count = 1
                while x + count < W and row[x + count] == row[x]:
                    count += 1
                out += bytes([count, row[x] * 17 if small else row[x]])
                x += count
        out += b"\0\0"
    return out + b"\0\1"


def bitmaps():
    for bits in (1, 2, 4, 8):
        palette = rng.integers(0, 256, (1 << bits, 3), dtype=np.uint8)
        numbers = rng.integers(0, 1 << bits, (H, W))
        headers = {1: (12, 40), 2: (40, 108), 4: (12, 16, 64), 8: (20, 52, 56, 124)}[bits]
        for header in headers:
            add(f"numbers{bits}_{header}.bmp", "bmp", "rgb", palette[numbers],
                bitmap(bits, packed(numbers[::-1], bits), palette, 0, header))
        add(f"numbers{bits}_down.bmp", "bmp", "rgb", palette[numbers],
            bitmap(bits, packed(numbers, bits), palette, height=-H))
    for bits, compression in ((8, 1), (4, 2)):
        palette = rng.integers(0, 256, (1 << bits, 3), dtype=np.uint8)
        for name, skips in [("runs", False), ("skips", True)]:
            numbers = np.repeat(rng.integers(0, 1 << bits, (H, W // 3 + 1)), 3, axis=1)[:, :W]
            data = bitmap(bits, runs(numbers, bits == 4, skips), palette, compression)
            add(f"{name}{bits}.bmp", "bmp", "rgb", palette[numbers], data)
    data = bitmap(4, runs(numbers, True, False), palette, 2, height=-H)
    add("runs4_down.bmp", "bmp", "rgb", palette[numbers[::-1]], data)
    # Rows that follow one another without an end.
    rows = b"".join(bytes([1, n]) for n in numbers[::-1].ravel()) + b"\0\1"
    wide = np.vstack([palette, noise(1, np.uint8).ravel()[:240].repeat(3).reshape(240, 3)])
    add("endless.bmp", "bmp", "rgb", wide[numbers], bitmap(8, rows, wide, 1))
    # The bitmap ends when the two lowest rows are there.
    numbers[:-2] = 0
    add("early.bmp", "bmp", "rgb", palette[numbers],
        bitmap(4, runs(numbers[-2:], True, False), palette, 2))
    a = noise(3, np.uint8)
    rows = b"".join(row.tobytes().ljust((3 * W + 3) // 4 * 4, b"\0") for row in a[::-1, :, ::-1])
    for header in (12, 64):
        add(f"rgb_{header}.bmp", "bmp", "rgb", a, bitmap(24, rows, header=header))
    add("huffman.bmp", "bmp", "unsupported", np.zeros((H, W, 3), np.uint8),
        bitmap(1, bytes(40), palette[:2], 3, header=64))


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def odd_pngs():
    for bits in (1, 2, 4):
        numbers = rng.integers(0, 1 << bits, (H, W))
        rows = b"".join(b"\0" + np.packbits(np.unpackbits(row.astype(np.uint8)[:, None], axis=1)[:, 8 - bits:]).tobytes()
                        for row in numbers)
        for name, value in [("low", 1), ("high", 0xFF01)]:
            data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", W, H, bits, 0, 0, 0, 0))
            data += chunk(b"tRNS", struct.pack(">H", value)) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
            seen = np.dstack([numbers * (255 // ((1 << bits) - 1)), np.where(numbers == 1, 0, 255)]).astype(np.uint8)
            assert (imagecodecs.png_decode(data) == seen).all()
            add(f"transparent{bits}_{name}.png", "png", "gray_alpha", seen, data)


def odd_tgas():
    """Four bytes a color, of which the last is none, as the extension says."""
    for name, options in [("", {}), ("_rle", {"compression": "tga_rle"})]:
        a = np.repeat(noise(4, np.uint8), 3, axis=1)[:, :W]
        data = pil(a, "TGA", **options).removesuffix(bytes(8) + b"TRUEVISION-XFILE.\0")
        footer = struct.pack("<II", len(data), 0) + b"TRUEVISION-XFILE.\0"
        data += struct.pack("<H", 495).ljust(495, b"\0") + footer
        seen = opened(data, "RGBA")
        assert (seen[:, :, 3] == 255).all()
        add(f"unused{name}.tga", "tga", "rgba", seen, data)


def odd_webps():
    for name, flags in [("exif", 0x08), ("xmp", 0x04), ("both", 0x0C)]:
        a = noise(3, np.uint8)
        data = pil(a, "WEBP", lossless=True)[12:]
        size = struct.pack("<I", W - 1)[:3] + struct.pack("<I", H - 1)[:3]
        data = b"WEBPVP8X" + struct.pack("<IBxxx", 10, flags) + size + data
        data = b"RIFF" + struct.pack("<I", len(data)) + data
        add(f"promises_{name}.webp", "webp", "rgb", opened(data, "RGB"), data)


def channels():
    """OpenEXR with other channels than red, green and blue."""
    def exr(name, color, arrays, compression=OpenEXR.ZIP_COMPRESSION):
        with OpenEXR.File({"compression": compression, "type": OpenEXR.scanlineimage}, arrays) as file:
            file.write(f"{HERE}/{name}.exr")
        with OpenEXR.File(f"{HERE}/{name}.exr", separate_channels=True) as file:
            seen = {key: channel.pixels for key, channel in file.channels().items()}
        first = [key for key in "RGBYA" if key in seen]
        order = first + sorted(key for key in seen if key not in first)
        dtype = np.uint32 if all(seen[key].dtype == np.uint32 for key in order) else np.float32
        add(f"{name}.exr", "exr", color, np.dstack([seen[key].astype(dtype) for key in order]))

    r, g, b, a, z = (noise(1, np.float32)[:, :, 0] for _ in range(5))
    exr("y", "gray", {"Y": r})
    exr("y_half", "gray", {"Y": r.astype(np.float16)})
    exr("ya", "gray_alpha", {"Y": r, "A": a})
    exr("depth", "gray", {"Z": z})
    exr("rgbz", "bands", {"R": r, "G": g, "B": b, "Z": z})
    exr("rgbaz", "bands", {"R": r, "G": g, "B": b, "A": a, "Z": z})
    exr("mixed", "rgb", {"R": r.astype(np.float16), "G": g, "B": b})
    exr("number", "gray", {"id": noise(1, np.uint32)[:, :, 0]})
    exr("named", "bands", {"left.R": r, "left.G": g, "left.B": b})
    for kind in ("NO", "RLE", "ZIPS", "PIZ", "PXR24", "B44"):
        exr(f"rgba_{kind.lower()}", "rgba", {"R": r, "G": g, "B": b, "A": a}, getattr(OpenEXR, f"{kind}_COMPRESSION"))
    exr("number_and_depth", "unsupported", {"id": noise(1, np.uint32)[:, :, 0], "Z": z})


def floats():
    data = cv2.imencode(".hdr", np.abs(noise(3, np.float32)) + 1)[1].tobytes()
    back = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    add("rgb.hdr", "hdr", "rgb", back[:, :, ::-1], data)
    for name, bands, kind in [("rgb", 3, np.float32), ("rgba_half", 4, np.float16)]:
        a = noise(bands, kind)
        header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
        with OpenEXR.File(header, {"RGBA"[:bands]: a}) as file:
            file.write(f"{HERE}/{name}.exr")
        add(f"{name}.exr", "exr", "rgba"[:bands], a, dtype=np.float32)


def tiffs():
    def gdal(name, array, color, **options):
        profile = {"driver": "GTiff", "width": array.shape[1], "height": array.shape[0],
                   "count": array.shape[2], "dtype": array.dtype.name, **options}
        with rasterio.open(f"{HERE}/{name}", "w", **profile) as file:
            file.write(np.moveaxis(array, 2, 0))
        add(name, "tiff", color, array)

    def lossy(name, array, color, **options):
        """What is decoded is what GDAL decodes, within the steps of another inverse DCT."""
        gdal(name, array, color, **options)
        index.pop()
        with rasterio.open(f"{HERE}/{name}") as file:
            add(name, "tiff", color, np.moveaxis(file.read(), 0, 2), off=6)

    utm = {"crs": "EPSG:32632", "transform": from_origin(600000, 5300040, 10, 10)}
    for dtype in ["uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64"]:
        gdal(f"{dtype}.tif", noise(1, np.dtype(dtype)), "gray")
    gdal("geo.tif", noise(1, np.int16), "gray", nodata=-9999, compress="deflate", predictor=2, **utm)
    gdal("tiled.tif", noise(5, np.uint16, 40, 20), "bands", tiled=True, blockxsize=32, blockysize=16, compress="lzw")
    gdal("planar.tif", noise(4, np.uint16), "bands", interleave="band", photometric="minisblack")
    gdal("rgb_planar.tif", noise(3, np.uint8), "rgb", interleave="band", photometric="rgb", compress="packbits")
    gdal("rgb16.tif", noise(3, np.uint16), "rgb", photometric="rgb", compress="lzw", predictor=2)
    gdal("rgba.tif", noise(4, np.uint8), "rgba", photometric="rgb", alpha="yes")
    gdal("ga.tif", noise(2, np.uint8), "gray_alpha", alpha="yes")
    gdal("float_predictor.tif", noise(2, np.float32), "bands", compress="deflate", predictor=3)
    gdal("big.tif", noise(1, np.uint16), "gray", bigtiff="yes", tiled=True, blockxsize=16, blockysize=16)
    gdal("cmyk.tif", noise(4, np.uint8), "cmyk", photometric="cmyk")
    gdal("rgb_and_more.tif", noise(4, np.uint16), "rgb_bands", photometric="rgb", alpha="no")
    lossy("jpeg.tif", noise(1, np.uint8), "gray", compress="jpeg")
    gdal("bits.tif", noise(1, np.uint8) & 1, "gray", nbits=1)
    gdal("palette.tif", noise(1, np.uint8), "palette", photometric="palette")
    a = noise(3, np.uint16)
    tifffile.imwrite(f"{HERE}/motorola.tif", a, byteorder=">", photometric="rgb", metadata=None, rowsperstrip=5)
    add("motorola.tif", "tiff", "rgb", a)
    a = noise(1, np.float16)
    tifffile.imwrite(f"{HERE}/half.tif", a[:, :, 0], metadata=None)
    add("half.tif", "tiff", "gray", a, dtype=np.float32)
    a = noise(1, np.uint8)
    tifffile.imwrite(f"{HERE}/white.tif", 255 - a[:, :, 0], photometric="miniswhite", metadata=None)
    add("white.tif", "tiff", "gray", a)


def more_tiffs():
    """Each compression, layout and type of sample that is read in ranges."""
    def add_read(name, color, off=0):
        with rasterio.open(f"{HERE}/{name}") as file:
            pixels = np.moveaxis(file.read(), 0, 2)
        if np.iscomplexobj(pixels):
            pixels = np.stack([pixels.real, pixels.imag], 3).reshape(*pixels.shape[:2], -1)
        add(name, "tiff", color, pixels, off=off)

    def gdal(name, array, color, off=0, dtype=None, **options):
        profile = {"driver": "GTiff", "width": array.shape[1], "height": array.shape[0],
                   "count": array.shape[2], "dtype": dtype or array.dtype.name, **options}
        with rasterio.open(f"{HERE}/{name}", "w", **profile) as file:
            file.write(np.moveaxis(array, 2, 0))
        add_read(name, color, off)

    def tiff(name, array, color, expected=None, **options):
        tifffile.imwrite(f"{HERE}/{name}", array, metadata=None, **options)
        add(name, "tiff", color, array if expected is None else expected)

    wide, tiles = (70, 50), {"tiled": True, "blockxsize": 32, "blockysize": 16}
    picture = np.kron(smooth(3), np.ones((4, 4, 1), np.uint8))[:50, :70]
    page = (picture[:, :, :1] > 120).astype(np.uint8)
    words = noise(1, np.uint16, *wide)
    gdal("zstd.tif", words, "gray", compress="zstd", predictor=2, **tiles)
    gdal("lzma.tif", words, "gray", compress="lzma")
    gdal("zstd_planar.tif", noise(3, np.int16, *wide), "bands", compress="zstd", interleave="band", photometric="minisblack", **tiles)
    gdal("uint64.tif", noise(1, np.uint64), "gray", compress="deflate", predictor=2)
    gdal("int64.tif", noise(1, np.int64), "gray")
    gdal("complex64.tif", noise(1, np.float32) + 1j * noise(1, np.float32), "bands", dtype="complex64", compress="deflate")
    for bits in (2, 4, 10, 12, 14):
        dtype = np.uint8 if bits < 8 else np.uint16
        gdal(f"bits{bits}.tif", noise(1, dtype) & ((1 << bits) - 1), "gray", nbits=bits, compress="deflate")
    gdal("bits12_rgb.tif", noise(3, np.uint16) & 0xfff, "rgb", nbits=12, photometric="rgb")
    for name, compress in (("rle", "ccittrle"), ("group3", "ccittfax3"), ("group4", "ccittfax4")):
        gdal(f"fax_{name}.tif", page, "gray", nbits=1, compress=compress)
    gdal("jpeg_ycbcr.tif", picture, "rgb", off=6, compress="jpeg", photometric="ycbcr", **tiles)
    gdal("jpeg_rgb.tif", picture, "rgb", off=6, compress="jpeg", photometric="rgb", jpeg_quality=90, blockysize=16)
    gdal("webp.tif", picture, "rgb", compress="webp", webp_lossless=True, **tiles)
    gdal("sparse.tif", np.full((50, 70, 1), 7, np.int16), "gray", nodata=7, sparse_ok=True, **tiles)
    gdal("float_planes.tif", noise(2, np.float64, *wide), "bands", compress="zstd", predictor=3, interleave="band", **tiles)
    slope = np.add.outer(np.arange(50), np.arange(70) * 0.37).astype(np.float32)[:, :, None]
    for dtype in ("uint8", "uint16", "int16", "uint32", "int32", "float32", "float64"):
        gdal(f"lerc_{dtype}.tif", slope.astype(dtype), "gray", compress="lerc", **tiles)
    gdal("lerc_noise.tif", noise(1, np.uint8, *wide), "gray", compress="lerc", **tiles)
    gdal("lerc_loose.tif", np.dstack([slope, slope * slope]), "bands", compress="lerc_zstd", max_z_error=0.01, **tiles)
    gdal("lerc_picture.tif", picture, "rgb", compress="lerc_deflate", photometric="rgb", **tiles)
    holes = np.where(noise(1, np.int8, *wide) > 90, np.float32("nan"), slope)
    gdal("lerc_holes.tif", holes, "gray", compress="lerc", nodata=float("nan"), **tiles)
    big = noise(3, np.uint16, *wide)
    tiff("motorola_deflate.tif", big, "rgb", byteorder=">", photometric="rgb", compression="zlib", predictor=2, tile=(16, 32))
    tiff("motorola_floats.tif", noise(1, np.float32, *wide)[:, :, 0], "gray", byteorder=">", compression="zlib", predictor=3)
    tiff("jpeg2000.tif", picture, "rgb", photometric="rgb", compression="jpeg2000", compressionargs={"level": 0}, tile=(32, 32))
    tiff("planes_of_strips.tif", np.moveaxis(big, 2, 0), "rgb", big, photometric="rgb", planarconfig="separate", rowsperstrip=7, compression="lzw")
    tiff("tiny_tiles.tif", words[:, :, 0], "gray", tile=(16, 16), compression="packbits")


def kept_tiffs():
    """Files that readers got wrong, and were not made here. tiff_no_photometric.tif is
    flower-rgb-contig-08.tif of haraldk/TwelveMonkeys (BSD-3); the others are free of rights."""
    colors = {"tiff_no_photometric": "bands", "planar_tiled_partial_rows": "bands", "planar_tiled_partial_cols": "bands"}
    for name in ("fillorder2_u8", "fillorder2_u16", "fillorder2_deflate", "lzw_tile_full", "nodata_nan_f32",
                 "planar_tiled_partial_rows", "planar_tiled_partial_cols", "whiteiszero_f32", "tiff_no_photometric"):
        with rasterio.open(f"{HERE}/{name}.tif") as file:
            pixels = np.moveaxis(file.read(), 0, 2)
            color = colors.get(name) or ("gray" if file.count == 1 else "rgb" if file.count == 3 else "bands")
        add(f"{name}.tif", "tiff", color, pixels)


def ycbcr_tiff(sampling, compression, planes, tags=()):
    """A TIFF in YCbCr of one strip, by hand: no writer makes one without JPEG."""
    across, down = sampling
    luma, chroma = planes
    units = []
    for y in range(0, luma.shape[0], down):
        for x in range(0, luma.shape[1], across):
            units.append(luma[y : y + down, x : x + across].tobytes() + chroma[y // down, x // across].tobytes())
    packed = b"".join(units)
    if compression == 8:
        packed = zlib.compress(packed)
    if compression == 5:
        packed = imagecodecs.lzw_encode(packed)
    entries = [
        (256, 3, [W]), (257, 3, [H]), (258, 3, [8, 8, 8]), (259, 3, [compression]), (262, 3, [6]),
        (273, 4, [8]), (277, 3, [3]), (278, 3, [H]), (279, 4, [len(packed)]), (530, 3, list(sampling)), *tags,
    ]
    values, directory = packed + bytes(len(packed) % 2), b""
    for tag, kind, given in sorted(entries):
        data = struct.pack("<" + {3: "H", 4: "I", 5: "I"}[kind] * len(given), *given)
        count = len(given) // (2 if kind == 5 else 1)
        if len(data) > 4:
            at = 8 + len(values)
            values += data + bytes(len(data) % 2)
            data = struct.pack("<I", at)
        directory += struct.pack("<HHI", tag, kind, count) + data.ljust(4, b"\0")
    head = b"II*\0" + struct.pack("<I", 8 + len(values))
    return head + values + struct.pack("<H", len(entries)) + directory + bytes(4)


def tiff_bytes(pixels, **options):
    out = io.BytesIO()
    tifffile.imwrite(out, pixels, metadata=None, **options)
    return out.getvalue()


def tiff_colors():
    """YCbCr without JPEG; JPEG of 12 bits and of four bands."""
    def read(name, color, data):
        with open(f"{HERE}/{name}", "wb") as file:
            file.write(data)
        with rasterio.open(f"{HERE}/{name}") as file:
            pixels = np.moveaxis(file.read(), 0, 2)
        # GDAL makes light of inks.
        pixels = tifffile.imread(f"{HERE}/{name}") if color == "cmyk" else pixels
        # GDAL gives opacity along with what libtiff converts.
        add(name, "tiff", color, pixels[:, :, :3] if color == "rgb" else pixels)

    for (across, down), compression, tags in (
        ((1, 1), 5, ()),
        ((2, 2), 1, ()),
        ((2, 1), 8, ()),
        ((4, 2), 8, ()),
        # ITU-R BT.709 in the range of video.
        ((1, 2), 1, ((529, 5, [2125, 10000, 7154, 10000, 721, 10000]), (532, 5, [16, 1, 235, 1, 128, 1, 240, 1, 128, 1, 240, 1]))),
    ):
        luma = rng.integers(0, 256, (-(-H // down) * down, -(-W // across) * across), dtype=np.uint8)
        chroma = rng.integers(0, 256, (-(-H // down), -(-W // across), 2), dtype=np.uint8)
        read(f"ycbcr_{across}x{down}.tif", "rgb", ycbcr_tiff((across, down), compression, (luma, chroma), tags))

    def jpeg(name, color, pixels, **options):
        with rasterio.open(f"{HERE}/{name}", "w", driver="GTiff", width=W, height=H, count=pixels.shape[2],
                           dtype=pixels.dtype, compress="jpeg", **options) as file:
            file.write(np.moveaxis(pixels, 2, 0))
        with open(f"{HERE}/{name}", "rb") as file:
            read(name, color, file.read())

    # Lying on its side, as a scanner says it.
    data = tiff_bytes(smooth(3), photometric="rgb", extratags=[(274, 3, 1, 6, True)])
    add("rotated.tif", "tiff", "rgb", smooth(3), data)
    jpeg("jpeg_12_bits.tif", "gray", smooth(1).astype(np.uint16) * 16, nbits=12)
    jpeg("jpeg_12_bits_rgb.tif", "rgb", smooth(3).astype(np.uint16) * 16, nbits=12, photometric="ycbcr")
    jpeg("jpeg_cmyk.tif", "cmyk", smooth(4), photometric="cmyk")
    jpeg("jpeg_rgba.tif", "rgba", smooth(4), photometric="rgb", alpha="yes")
    jpeg("jpeg_four.tif", "bands", smooth(4), photometric="minisblack")


def raws(name, pages):
    """What readers see in each page, from the second one on."""
    for number, pixels in enumerate(pages[1:], 2):
        pixels.astype(pixels.dtype.newbyteorder("<")).tofile(f"{HERE}/{name}.page-{number}.raw")


def pages():
    """Files of several images: their pages from the second one on are NAME.page-N.raw."""
    scan = [noise(1, np.uint8)[:, :, 0], noise(3, np.uint16, 70, 50), noise(1, np.float32)[:, :, 0]]
    out = io.BytesIO()
    with tifffile.TiffWriter(out) as file:
        file.write(scan[0], photometric="minisblack", metadata=None)
        # Its overview is its own (SubIFDs), as OME-TIFF has it.
        options = {"photometric": "rgb", "compression": "zlib", "tile": (16, 16), "metadata": None}
        file.write(scan[1], subifds=1, predictor=True, **options)
        file.write(scan[1][::2, ::2], subfiletype=1, **options)
        file.write(scan[2], photometric="minisblack", compression="lzw", metadata=None)
    add("pages.tif", "tiff", "gray", scan[0], out.getvalue())
    raws("pages.tif", scan)
    scan[1][::2, ::2].astype("<u2").tofile(f"{HERE}/pages.tif.page-2.level-1.raw")
    for name, options in (
        ("frames.gif", {"disposal": [1, 2, 1, 3, 1], "transparency": 0}),
        ("frames.webp", {"lossless": True, "exact": True}),
    ):
        drawn = []
        for n in range(5):
            frame = np.zeros((H, W, 4), np.uint8)
            frame[n : n + 6, 2 * n : 2 * n + 9] = [40 * n + 60, 200 - 30 * n, 17 * n, 255]
            drawn.append(Image.fromarray(frame, "RGBA"))
        out = io.BytesIO()
        drawn[0].save(out, name[-4:].strip("."), save_all=True, append_images=drawn[1:], duration=50, **options)
        with Image.open(io.BytesIO(out.getvalue())) as image:
            assert image.n_frames == 5
            seen = []
            for n in range(5):
                image.seek(n)
                seen.append(np.asarray(image.convert("RGBA")))
        add(name, name[-4:].strip("."), "rgba", seen[0], out.getvalue())
        raws(name, seen)


def fits_file(*units):
    out = io.BytesIO()
    fits.HDUList(list(units)).writeto(out)
    return out.getvalue()


def with_cards(array, **cards):
    unit = fits.PrimaryHDU(array)
    for keyword, value in cards.items():
        unit.header[keyword] = value
    return fits_file(unit)


def fitses():
    """What astropy gives, except that whole numbers with BLANK stay whole numbers, and that planes are bands."""
    for name in ("uint8", "int8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64"):
        array = noise(1, np.dtype(name))[:, :, 0]
        add(f"{name}.fits", "fits", "gray", array, fits_file(fits.PrimaryHDU(array)))
    cube = noise(3, np.int16)
    add("planes.fits", "fits", "bands", cube, fits_file(fits.PrimaryHDU(np.moveaxis(cube, 2, 0))))
    deep = noise(6, np.float32).reshape(H, W, 2, 3)
    add("four_axes.fits", "fits", "bands", deep, fits_file(fits.PrimaryHDU(np.moveaxis(deep, (2, 3), (0, 1)))))
    short = noise(1, np.int16)[:, :, 0]
    data = with_cards(short, BLANK=int(short[3, 4]))
    add("blank.fits", "fits", "gray", short, data)
    for dtype in (np.uint8, np.int16, np.int32, np.int64, np.float32, np.float64):
        array = noise(1, dtype)[:, :, 0]
        unit = fits.PrimaryHDU(array)
        data = bytearray(fits_file(unit))
        more = {"BSCALE": 0.37, "BZERO": 12.5}
        if dtype in (np.uint8, np.int16, np.int32, np.int64):
            more["BLANK"] = int(array[5, 6])
        cards = b"".join(fits.Card(keyword, value).image.encode() for keyword, value in more.items())
        at = data.index(b"END" + b" " * 77)
        data[at : at + len(cards) + 80] = cards + b"END" + b" " * 77
        given = fits.getdata(io.BytesIO(bytes(data)))
        add(f"scaled_{np.dtype(dtype).name}.fits", "fits", "gray", given.astype(given.dtype.newbyteorder("=")), bytes(data))
    table = fits.BinTableHDU.from_columns([fits.Column("x", "E", array=np.arange(900, dtype=np.float32))])
    array = noise(1, np.float32)[:, :, 0]
    add("extension.fits", "fits", "gray", array, fits_file(fits.PrimaryHDU(), table, fits.ImageHDU(array)))


def packed_fitses():
    """Images in tables: each compression, whole numbers and floats, exact and rounded."""
    def packed(name, color, array, way, **options):
        unit = fits.CompImageHDU(array, compression_type=way, **options)
        data = fits_file(fits.PrimaryHDU(), unit)
        given = fits.getdata(io.BytesIO(data))
        given = given.astype(given.dtype.newbyteorder("="))
        given = np.moveaxis(given, 0, 2) if given.ndim == 3 else given
        add(f"packed_{name}.fits", "fits", color, given, data)

    slope = np.add.outer(np.arange(50) * 3, np.arange(70) ** 2) + noise(1, np.uint8, 70, 50)[:, :, 0] % 9
    for dtype in (np.uint8, np.int16, np.uint16, np.int32):
        name = np.dtype(dtype).name
        packed(f"rice_{name}", "gray", slope.astype(dtype), "RICE_1", tile_shape=(16, 32))
        packed(f"gzip_{name}", "gray", slope.astype(dtype), "GZIP_1")
        packed(f"gzip2_{name}", "gray", slope.astype(dtype), "GZIP_2")
    packed("rice_noise", "gray", noise(1, np.int16, 70, 50)[:, :, 0], "RICE_1")
    packed("planes", "bands", np.moveaxis(np.dstack([slope, slope + 7]), 2, 0).astype(np.int32), "RICE_1", tile_shape=(1, 10, 70))
    wave = (np.sin(slope / 50.0) * 1000).astype(np.float32)
    wave[3, 4:9] = np.nan
    wave[20:30] = 0
    packed("floats", "gray", wave, "GZIP_2", quantize_level=0)
    packed("doubles", "gray", wave.astype(np.float64), "GZIP_1", quantize_level=0)
    for method, name in ((-1, "plain"), (1, "dither"), (2, "dither2")):
        packed(f"rounded_{name}", "gray", wave, "RICE_1", quantize_level=8, quantize_method=method, dither_seed=4711)
    data = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(slope.astype(np.int32), compression_type="HCOMPRESS_1")]).writeto(data)
    add("packed_hcompress.fits", "fits", "unsupported", slope.astype(np.int32), data.getvalue())


def early_fitses():
    """As early versions of CFITSIO wrote them: 4 bytes for each number of 1 or 2."""
    for dtype in (np.uint8, np.int16):
        array = noise(1, dtype, 30, 20)[:, :, 0]
        unit = fits.CompImageHDU(array.astype(np.int32), compression_type="GZIP_1")
        bits = b"ZBITPIX = %20d"
        data = fits_file(fits.PrimaryHDU(), unit).replace(bits % 32, bits % (8 * array.itemsize))
        assert (fits.getdata(io.BytesIO(data)) == array).all()
        add(f"packed_gzip_wide_{array.dtype.name}.fits", "fits", "gray", array, data)


def windows():
    """OpenEXR whose data window is smaller than the display window, larger, and beside it."""
    for name, x, y in (("inside", 5, 4), ("around", -9, -6), ("outside", 700, -80)):
        a = noise(3, np.float32)
        box = (np.array([x, y], np.int32), np.array([x + W - 1, y + H - 1], np.int32))
        screen = (np.array([0, 0], np.int32), np.array([39, 29], np.int32))
        if name == "around":
            screen = (np.array([0, 0], np.int32), np.array([3, 2], np.int32))
        header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage, "dataWindow": box, "displayWindow": screen}
        with OpenEXR.File(header, {"RGB": a}) as file:
            file.write(f"{HERE}/window_{name}.exr")
        with OpenEXR.File(f"{HERE}/window_{name}.exr") as file:
            assert (file.channels()["RGB"].pixels == a).all()
        add(f"window_{name}.exr", "exr", "rgb", a)


def odd_gifs():
    """A screen smaller than its frame, an extension of no known kind, no colors at all."""
    data = saved(paletted(7), "GIF")
    pixels = opened(data, "RGBA")
    small = bytearray(data)
    small[6:10] = struct.pack("<HH", W - 4, 3)
    assert (opened(bytes(small), "RGBA") == pixels).all()
    add("oversized.gif", "gif", "rgba", pixels, bytes(small))
    colors = 3 << ((data[10] & 7) + 1)
    at = 13 + colors
    unknown = data[:at] + b"\x21\x02\x04abcd\x02ef\0" + data[at:]
    assert (opened(unknown, "RGBA") == pixels).all()
    add("unknown_extensions.gif", "gif", "rgba", pixels, unknown)
    bare = data[:10] + bytes([data[10] & 0x7f]) + data[11:13] + data[at:]
    add("no_colors.gif", "gif", "unsupported", pixels, bare)


def palettes_cut():
    """Numbers that a palette lacks are black."""
    for bits in (4, 8):
        palette = rng.integers(1, 256, (1 << bits, 3), dtype=np.uint8)
        numbers, kept = rng.integers(0, 1 << bits, (H, W)), (1 << bits) * 2 // 3
        data = bitmap(bits, packed(numbers[::-1], bits), palette[:kept], used=kept)
        seen = palette[numbers] * (numbers < kept)[:, :, None]
        assert (opened(data, "RGB") == seen).all()
        add(f"palette_cut{bits}.bmp", "bmp", "rgb", seen.astype(np.uint8), data)


def open_ended_tiffs():
    """One strip of which it is only said where it begins."""
    a = rng.integers(0, 2, (H, W)).astype(np.uint8)
    for name, compression in (("plain", None), ("deflate", "adobe_deflate"), ("group4", "ccitt_t6")):
        out = io.BytesIO()
        image = Image.fromarray(a * 255).convert("1")
        image.save(out, "TIFF", compression=compression or "raw")
        data = bytearray(out.getvalue())
        with tifffile.TiffFile(io.BytesIO(bytes(data))) as file:
            tag = file.pages[0].tags["StripByteCounts"]
            assert tag.count == 1 and data[:2] == b"II"
            size = 2 if tag.dtype == 3 else 4
            data[tag.valueoffset:tag.valueoffset + size] = bytes(size)
        assert (np.asarray(Image.open(io.BytesIO(bytes(data)))) == (a == 1)).all()
        add(f"open_ended_{name}.tif", "tiff", "gray", a, bytes(data))


def jxls():
    def jxl(name, color, pixels, given=None, **options):
        data = imagecodecs.jpegxl_encode(pixels.squeeze(), lossless=True, **options)
        add(name, "jxl", color, pixels if given is None else given, data)

    for name, bands, color in [("gray", 1, "gray"), ("ga", 2, "gray_alpha"), ("rgb", 3, "rgb"), ("rgba", 4, "rgba")]:
        for dtype in (np.uint8, np.uint16):
            jxl(f"{name}{8 * np.dtype(dtype).itemsize}.jxl", color, noise(bands, dtype))
        if bands in (1, 3):
            jxl(f"{name}_float.jxl", color, noise(bands, np.float32))
    jxl("boxes.jxl", "rgb", noise(3, np.uint8), usecontainer=True)
    wide = (np.add.outer(np.arange(300), np.arange(530)) % 251).astype(np.uint8)[:, :, None]
    jxl("groups.jxl", "gray", wide, effort=3)
    for bits in (1, 4, 10, 12):
        few = noise(1, np.uint16) >> (16 - bits)
        few = few.astype(np.uint8) if bits <= 8 else few
        jxl(f"bits{bits}.jxl", "gray", few, bitspersample=bits)
    jxl("half.jxl", "unsupported", noise(1, np.float32).astype(np.float16), np.zeros((H, W), np.float32))
    lossy = smooth(3)
    data = imagecodecs.jpegxl_encode(lossy, distance=1.0)
    add("lossy.jxl", "jxl", "rgb", imagecodecs.jpegxl_decode(data), data, off=1)
    data = imagecodecs.jpegxl_encode_jpeg(pil(smooth(3), "JPEG", quality=90, subsampling=0))
    add("from_jpeg.jxl", "jxl", "rgb", imagecodecs.jpegxl_decode(data), data, off=1)


def jxl_tiffs():
    words = noise(1, np.uint16, 70, 50)
    picture = np.kron(smooth(3), np.ones((4, 4, 1), np.uint8))[:50, :70]
    for name, array, color, options in [
        ("jxl", picture, "rgb", {"photometric": "rgb", "tile": (32, 32)}),
        ("jxl_words", words[:, :, 0], "gray", {"photometric": "minisblack", "rowsperstrip": 16}),
        ("jxl_floats", noise(1, np.float32, 64, 64)[:, :, 0], "gray", {"photometric": "minisblack", "tile": (32, 32)}),
    ]:
        tifffile.imwrite(f"{HERE}/{name}.tif", array, metadata=None, compression="jpegxl", compressionargs={"lossless": True}, **options)
        add(f"{name}.tif", "tiff", color, array)


def dicom(frames, syntax="1.2.1", photometric="MONOCHROME2", bands=1, size=(H, W), bits=(16, 16), signed=0, words=False, **more):
    """A file of frames as they are coded, or of bytes as they are."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = f"1.2.840.10008.{syntax}"
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    meta.MediaStorageSOPInstanceUID = "1.2.3"
    ds = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    ds.SOPClassUID, ds.SOPInstanceUID = meta.MediaStorageSOPClassUID, "1.2.3"
    # Two sequences without a length, one in the other, in front of the pixels.
    inner, outer = Dataset(), Dataset()
    inner.CodeValue = "x"
    outer.PurposeOfReferenceCodeSequence = [inner]
    outer["PurposeOfReferenceCodeSequence"].is_undefined_length = True
    inner.is_undefined_length_sequence_item = True
    ds.SourceImageSequence = [outer]
    ds["SourceImageSequence"].is_undefined_length = True
    ds.SamplesPerPixel, ds.PhotometricInterpretation = bands, photometric
    ds.Rows, ds.Columns = size
    ds.BitsAllocated, ds.BitsStored = bits
    ds.HighBit, ds.PixelRepresentation = bits[1] - 1, signed
    if bands > 1:
        ds.PlanarConfiguration = 0
    for keyword, value in more.items():
        setattr(ds, keyword, value)
    if isinstance(frames, list):
        ds.PixelData = encapsulate(frames)
        ds["PixelData"].is_undefined_length = True
    else:
        ds.PixelData = frames + b"\0" * (len(frames) % 2)
    ds["PixelData"].VR = "OW" if bits[0] > 8 or words else "OB"
    out = io.BytesIO()
    implicit, little = syntax == "1.2", syntax != "1.2.2"
    pydicom.dcmwrite(out, ds, implicit_vr=implicit, little_endian=little, enforce_file_format=True)
    return out.getvalue()


def dicoms():
    """What pydicom gives of the first frame."""

    def dcm(name, color, frames, off=0, **options):
        data = dicom(frames, **options)
        array = pydicom.dcmread(io.BytesIO(data)).pixel_array
        array = array[0] if "NumberOfFrames" in options else array
        add(f"{name}.dcm", "dicom", color, array.astype(array.dtype.newbyteorder("=")), data, off)

    gray, signed, rgb, deep = noise(1, np.uint16), noise(1, np.int16), noise(3, np.uint8), noise(1, np.uint32)
    even = noise(1, np.uint8, 20, 12)
    dcm("uint16", "gray", gray.tobytes())
    dcm("twelve_bits", "gray", gray.tobytes(), bits=(16, 12))
    dcm("twelve_signed", "gray", signed.tobytes(), bits=(16, 12), signed=1)
    dcm("implicit", "gray", signed.tobytes(), syntax="1.2", signed=1)
    dcm("big_endian", "gray", signed.astype(">i2").tobytes(), syntax="1.2.2", signed=1)
    dcm("uint8", "gray", even.tobytes(), size=(12, 20), bits=(8, 8))
    swapped = rgb.tobytes() + b"\0" * (rgb.size % 2)
    dcm("words", "rgb", np.frombuffer(swapped, "<u2").astype(">u2").tobytes(), syntax="1.2.2", photometric="RGB", bands=3, bits=(8, 8), words=True)
    dcm("uint32", "gray", deep.tobytes(), bits=(32, 32))
    dcm("one_bit", "gray", np.packbits(even & 1, bitorder="little").tobytes(), size=(12, 20), bits=(1, 1))
    dcm("monochrome1", "gray", gray.tobytes(), photometric="MONOCHROME1")
    dcm("rgb", "rgb", rgb.tobytes(), photometric="RGB", bands=3, bits=(8, 8))
    dcm("planes", "rgb", np.moveaxis(rgb, 2, 0).tobytes(), photometric="RGB", bands=3, bits=(8, 8), PlanarConfiguration=1)
    dcm("ybr", "rgb", rgb.tobytes(), photometric="YBR_FULL", bands=3, bits=(8, 8), off=1)
    dcm("ybr_half", "rgb", noise(1, np.uint8, 40, 12).tobytes(), photometric="YBR_FULL_422", bands=3, size=(12, 20), bits=(8, 8), off=1)
    table = {f"{name}PaletteColorLookupTableData": rng.integers(0, 65536, 256, np.uint16).tobytes() for name in ("Red", "Green", "Blue")}
    table |= {f"{name}PaletteColorLookupTableDescriptor": [256, 0, 16] for name in ("Red", "Green", "Blue")}
    dcm("palette", "palette", even.tobytes(), photometric="PALETTE COLOR", size=(12, 20), bits=(8, 8), **table)
    dcm("frames", "gray", noise(1, np.uint16, W, 2 * H).tobytes(), NumberOfFrames=2)

    def runs(planes):
        coded = [imagecodecs.packbits_encode(plane.tobytes()) for plane in planes]
        coded = [part + b"\0" * (len(part) % 2) for part in coded]
        starts = np.cumsum([64] + [len(part) for part in coded])[:-1]
        return struct.pack("<16I", len(coded), *starts, *[0] * (15 - len(coded))) + b"".join(coded)

    frame = runs([(gray >> 8).astype(np.uint8), (gray & 255).astype(np.uint8)])
    dcm("rle", "gray", [frame, frame], syntax="1.2.5", NumberOfFrames=2)
    frame = runs([np.ascontiguousarray(rgb[:, :, band]) for band in range(3)])
    dcm("rle_rgb", "rgb", [frame], syntax="1.2.5", photometric="RGB", bands=3, bits=(8, 8))
    picture = smooth(3)
    options = {"photometric": "YBR_FULL_422", "bands": 3, "bits": (8, 8)}
    coded = [pil(picture, "JPEG", quality=90), pil(picture[::-1], "JPEG", quality=90)]
    dcm("jpeg", "rgb", coded, syntax="1.2.4.50", NumberOfFrames=2, **options)
    coded = imagecodecs.jpeg_encode(picture, level=90, colorspace="RGB", outcolorspace="RGB")
    dcm("jpeg_rgb", "rgb", [coded], syntax="1.2.4.50", **options | {"photometric": "RGB"})
    twelve = gray >> 4
    exact = [("lossless", "1.2.4.70", imagecodecs.ljpeg_encode(twelve[:, :, 0], bitspersample=12)),
             ("jpeg_ls", "1.2.4.80", jpeg_ls.encode(np.ascontiguousarray(twelve[:, :, 0])).tobytes()),
             ("jpeg2000", "1.2.4.90", imagecodecs.jpeg2k_encode(twelve[:, :, 0], level=0, codecformat="j2k", bitspersample=12)),
             ("jpeg_xl", "1.2.4.202", imagecodecs.jpegxl_encode(twelve[:, :, 0], lossless=True, bitspersample=12))]
    for name, syntax, coded in exact:
        coded += b"\0" * (len(coded) % 2)
        data = dicom([coded], syntax=syntax, bits=(16, 12))
        # Which pydicom does not write.
        data = data.replace(b"1.2.4.202", b"1.2.4.110")
        add(f"{name}.dcm", "dicom", "gray", twelve, data)
    # In two fragments.
    middle = len(exact[2][2]) // 4 * 2
    data = dicom([exact[2][2]], syntax="1.2.4.90", bits=(16, 12))
    parts = [exact[2][2][:middle], exact[2][2][middle:] + b"\0" * (len(exact[2][2]) % 2)]
    start = data.index(struct.pack("<HH", 0xFFFE, 0xE000), data.index(b"\xe0\x7f\x10\x00"))
    item = struct.pack("<HHI", 0xFFFE, 0xE000, 0)
    items = b"".join(struct.pack("<HHI", 0xFFFE, 0xE000, len(part)) + part for part in parts)
    data = data[:start] + item + items + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    add("fragments.dcm", "dicom", "gray", twelve, data)
    coded = imagecodecs.htj2k_encode(np.ascontiguousarray(twelve[:, :, 0]), reversible=True)
    coded += b"\0" * (len(coded) % 2)
    data = dicom([coded], syntax="1.2.4.201", bits=(16, 12))
    add("high_throughput.dcm", "dicom", "gray", twelve, data)
    coded = imagecodecs.htj2k_encode(picture, reversible=True)
    coded += b"\0" * (len(coded) % 2)
    data = dicom([coded], syntax="1.2.4.203", **options | {"photometric": "RGB"})
    add("high_throughput_rgb.dcm", "dicom", "rgb", picture, data)
    data = dicom([exact[2][2]], syntax="1.2.4.100", bits=(16, 12))
    add("video.dcm", "dicom", "unsupported", twelve, data)


def dicom_frames():
    """Of several frames: what pydicom gives of those from the second one on is NAME.page-N.raw."""

    def stack(name, color, data, off=0):
        frames = pydicom.dcmread(io.BytesIO(data)).pixel_array
        frames = frames.astype(frames.dtype.newbyteorder("="))
        add(f"{name}.dcm", "dicom", color, frames[0], data, off)
        raws(f"{name}.dcm", frames)

    def of_three(frames, **options):
        return dicom(frames, NumberOfFrames=3, **options)

    gray, rgb = noise(1, np.uint16, W, 3 * H), noise(3, np.uint8, W, 3 * H)
    planes = np.concatenate([np.moveaxis(rgb[n * H : (n + 1) * H], 2, 0).reshape(-1) for n in range(3)])
    small = {"bits": (8, 8), "photometric": "RGB", "bands": 3}
    stack("frames_words", "gray", of_three(gray.tobytes()))
    stack("frames_planes", "rgb", of_three(planes.tobytes(), PlanarConfiguration=1, **small))
    # Frames that begin in the middle of a byte.
    bits = np.packbits(gray.ravel() & 1, bitorder="little")
    stack("frames_bits", "gray", of_three(bits.tobytes(), bits=(1, 1)))
    # Frames of an odd number of bytes that begin in the middle of a word.
    odd = np.append(gray.ravel().astype(np.uint8), np.uint8(0))
    data = of_three(odd.reshape(-1, 2)[:, ::-1].tobytes(), syntax="1.2.2", bits=(8, 8), words=True)
    frames = odd[:-1].reshape(3, H, W)
    add("frames_odd.dcm", "dicom", "gray", frames[0], data)
    raws("frames_odd.dcm", frames)
    lossless = [imagecodecs.jpeg2k_encode(np.ascontiguousarray(gray[n * H : (n + 1) * H, :, 0]), level=0, codecformat="j2k") for n in range(3)]
    lossless = [coded + b"\0" * (len(coded) % 2) for coded in lossless]
    options = {"syntax": "1.2.4.90", "NumberOfFrames": 3}
    stack("frames_table", "gray", dicom(lossless, **options))
    start = dicom(lossless, **options)
    start = start[: start.index(b"\xe0\x7f\x10\x00") + 12]
    for name, has_table, parts in (("frames_fragments", False, 2), ("frames_of_fragments", True, 3)):
        pixels = encapsulate(lossless, fragments_per_frame=parts, has_bot=has_table)
        stack(name, "gray", start + pixels + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0))
    pixels, offsets, lengths = encapsulate_extended(lossless)
    extended = {"ExtendedOffsetTable": offsets, "ExtendedOffsetTableLengths": lengths}
    start = dicom(lossless, **options, **extended)
    start = start[: start.index(b"\xe0\x7f\x10\x00") + 12]
    stack("frames_extended", "gray", start + pixels + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0))


PARTS = [dicom_frames, pages, tiff_colors, pngs, jpegs, webps, simple, floats, tiffs, more_tiffs, kept_tiffs, sampled_jpegs, odd_jpegs, jpeg_lss, bitmaps, odd_pngs, odd_tgas, odd_webps, channels, arithmetic_jpegs, fitses, packed_fitses, early_fitses, windows, odd_gifs, palettes_cut, open_ended_tiffs, jxls, jxl_tiffs, dicoms]
wanted = [part for part in PARTS if part.__name__ in sys.argv[1:]] or PARTS
for make in wanted:
    make()
if wanted != PARTS:
    # Those of the other parts stay where they are in the list.
    made = {line.split(" ")[0]: line for line in index}
    with open(f"{HERE}/index.txt") as file:
        kept = [made.pop(line.split(" ")[0], line) for line in file.read().splitlines()]
    index = kept + list(made.values())
with open(f"{HERE}/index.txt", "w") as file:
    file.write("\n".join(index) + "\n")
