#!/usr/bin/env python3
"""Makes the images that tests/support/images has, and what other readers see in them.

    pip install numpy pillow opencv-python-headless OpenEXR rasterio tifffile
    python make.py

For each image NAME there is NAME.raw: the pixels (H, W, bands), little endian, as the
writer was given them (lossless formats) or as Pillow or OpenCV read them back (lossy
and HDR). `index.txt` has a line each: name, codec, width, height, bands, dtype, color,
how far a sample may be off.
"""
import io
import os
import struct

import cv2
import numpy as np
import OpenEXR
import rasterio
import tifffile
from PIL import Image
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
    kinds = [("gray", 1, {}, 3), ("rgb444", 3, {"subsampling": 0}, 3), ("rgb420", 3, {"subsampling": 2}, 12),
             ("progressive", 3, {"progressive": True, "subsampling": 0}, 3),
             ("restarts", 3, {"restart_marker_blocks": 2, "subsampling": 0}, 3)]
    for name, bands, options, off in kinds:
        data = pil(smooth(bands), "JPEG", quality=90, **options)
        mode, color = ("L", "gray") if bands == 1 else ("RGB", "rgb")
        add(f"{name}.jpg", "jpeg", color, opened(data, mode), data, off)
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "x" * 30000  # the frame header lies behind the first 16 KiB
    data = pil(smooth(3), "JPEG", quality=90, subsampling=0, exif=exif)
    add("rotated.jpg", "jpeg", "rgb", opened(data, "RGB"), data, 3)
    data = saved(Image.fromarray(smooth(4), "CMYK"), "JPEG")
    add("cmyk.jpg", "jpeg", "unsupported", smooth(4), data)


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
    gdal("cmyk.tif", noise(4, np.uint8), "unsupported", photometric="cmyk")
    gdal("rgb_and_more.tif", noise(4, np.uint16), "unsupported", photometric="rgb", alpha="no")
    gdal("jpeg.tif", noise(1, np.uint8), "unsupported", compress="jpeg")
    gdal("bits.tif", noise(1, np.uint8) & 1, "unsupported", nbits=1)
    gdal("palette.tif", noise(1, np.uint8), "unsupported", photometric="palette")
    a = noise(3, np.uint16)
    tifffile.imwrite(f"{HERE}/motorola.tif", a, byteorder=">", photometric="rgb", metadata=None, rowsperstrip=5)
    add("motorola.tif", "tiff", "rgb", a)
    a = noise(1, np.float16)
    tifffile.imwrite(f"{HERE}/half.tif", a[:, :, 0], metadata=None)
    add("half.tif", "tiff", "gray", a, dtype=np.float32)
    a = noise(1, np.uint8)
    tifffile.imwrite(f"{HERE}/white.tif", 255 - a[:, :, 0], photometric="miniswhite", metadata=None)
    add("white.tif", "tiff", "gray", a)


for make in (pngs, jpegs, webps, simple, floats, tiffs):
    make()
with open(f"{HERE}/index.txt", "w") as file:
    file.write("\n".join(index) + "\n")
