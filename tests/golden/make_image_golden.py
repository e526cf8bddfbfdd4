"""Makes tests/data/images (small pictures of every kind that clipcu decodes) and
tests/golden/image_golden.h (what Pillow makes of them, and of resizing), as CRC-32 of the bytes.

Needed only to change the goldens:  python tests/golden/make_image_golden.py
"""
import io
import pathlib
import struct
import zlib

import numpy as np
import PIL
from PIL import Image, ImageOps, features

HERE = pathlib.Path(__file__).resolve().parent
FILES = HERE.parent / "data" / "images"
HEADER = HERE / "image_golden.h"
rng = np.random.default_rng(20240229)

FILTERS = {
    "BOX": Image.Resampling.BOX,
    "BILINEAR": Image.Resampling.BILINEAR,
    "HAMMING": Image.Resampling.HAMMING,
    "BICUBIC": Image.Resampling.BICUBIC,
    "LANCZOS": Image.Resampling.LANCZOS,
}


def noise(w, h):
    """The same bytes as make_noise() in tests/unit/test_resize.c."""
    v = np.arange(w * h * 3, dtype=np.uint32) * np.uint32(2654435761)
    v ^= v >> np.uint32(15)
    v *= np.uint32(2246822519)
    v ^= v >> np.uint32(13)
    return (v & np.uint32(255)).astype(np.uint8).reshape(h, w, 3)


def scene(w=37, h=29):
    """Smooth colours, an edge and a little noise: something that a codec has to work on."""
    y, x = np.mgrid[0:h, 0:w]
    a = np.stack([x * 255 / max(1, w - 1), y * 255 / max(1, h - 1), (x + y) * 4 % 256], -1)
    a[(x - w / 2) ** 2 + (y - h / 2) ** 2 < (min(w, h) / 3) ** 2] = (250, 40, 90)
    return np.clip(a + rng.integers(-6, 7, a.shape), 0, 255).astype(np.uint8)


# ---- PNG of every colour type, depth and filter, plain or interlaced

CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}


def png_chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_rows(samples, depth, colour):
    """samples (h, w, channels) -> filtered rows; filters take turns, starting anywhere."""
    h, w, n = samples.shape
    step = max(1, n * depth // 8)
    above = None
    out = b""
    for y in range(h):
        flat = samples[y].reshape(-1)
        if depth == 16:
            row = flat.astype(">u2").tobytes()
        elif depth == 8:
            row = flat.astype(np.uint8).tobytes()
        else:
            bits = "".join(format(int(v), f"0{depth}b") for v in flat)
            bits += "0" * (-len(bits) % 8)
            row = bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits), 8))
        above = above or bytes(len(row))
        kind = int(rng.integers(0, 5))
        line = bytearray()
        for i, v in enumerate(row):
            a = row[i - step] if i >= step else 0
            b = above[i]
            c = above[i - step] if i >= step else 0
            p = a + b - c
            paeth = min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]
            line.append((v - (0, a, b, (a + b) // 2, paeth)[kind]) & 255)
        out += bytes([kind]) + bytes(line)
        above = row
    return out


def png(samples, depth, colour, interlaced=False, palette=None, trns=None, exif=None, pieces=1):
    h, w, _ = samples.shape
    assert samples.shape[2] == CHANNELS[colour]
    out = b"\x89PNG\r\n\x1a\n"
    out += png_chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, depth, colour, 0, 0, int(interlaced)))
    if exif is not None:
        out += png_chunk(b"eXIf", exif)
    if palette is not None:
        out += png_chunk(b"PLTE", bytes(palette))
    if trns is not None:
        out += png_chunk(b"tRNS", bytes(trns))
    passes = [(0, 0, 1, 1)]
    if interlaced:
        passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4),
                  (1, 0, 2, 2), (0, 1, 1, 2)]
    raw = b""
    for x0, y0, dx, dy in passes:
        part = samples[y0::dy, x0::dx]
        if part.size:
            raw += png_rows(part, depth, colour)
    data = zlib.compress(raw)
    cuts = [len(data) * i // pieces for i in range(pieces + 1)]
    for i in range(pieces):
        out += png_chunk(b"IDAT", data[cuts[i] : cuts[i + 1]])
    return out + png_chunk(b"IEND", b"")


def random_samples(w, h, depth, colour):
    return rng.integers(0, 1 << depth, (h, w, CHANNELS[colour]))


def make_png(files):
    for colour, depths in {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16),
                           6: (8, 16)}.items():
        for depth in depths:
            for interlaced in (False, True):
                palette = None
                if colour == 3:
                    palette = rng.integers(0, 256, 3 << depth, dtype=np.uint8).tobytes()
                name = f"png_c{colour}_d{depth}{'_interlaced' if interlaced else ''}.png"
                files[name] = png(random_samples(19, 13, depth, colour), depth, colour, interlaced,
                                  palette)
    for w, h in ((1, 1), (2, 1), (1, 9), (5, 5)):
        files[f"png_interlaced_{w}x{h}.png"] = png(random_samples(w, h, 8, 2), 8, 2, True)
    colours = rng.integers(0, 256, 20 * 3, dtype=np.uint8).tobytes()
    files["png_palette_short.png"] = png(random_samples(19, 13, 8, 3), 8, 3, palette=colours)
    files["png_palette_trns.png"] = png(random_samples(19, 13, 4, 3), 4, 3, palette=colours[:48],
                                        trns=bytes(range(0, 160, 10)))
    files["png_rgb_trns.png"] = png(random_samples(9, 7, 8, 2), 8, 2,
                                    trns=struct.pack(">3H", 1, 2, 3))
    files["png_grey_trns.png"] = png(random_samples(9, 7, 8, 0), 8, 0, trns=struct.pack(">H", 7))
    files["png_pieces.png"] = png(random_samples(31, 17, 8, 2), 8, 2, pieces=23)
    for mode in ("RGB", "RGBA", "L", "LA", "1", "P"):
        b = io.BytesIO()
        Image.fromarray(scene()).convert(mode).save(b, "PNG")
        files[f"png_pillow_{mode}.png"] = b.getvalue()


# ---- JPEG, GIF, BMP, PNM

def exif_block(orientation, order, kind=3):
    e = {"II": "<", "MM": ">"}[order]
    value = struct.pack(e + ("I" if kind == 4 else "H"), orientation).ljust(4, b"\0")
    entries = [struct.pack(e + "HHI4s", 0x010F, 2, 4, b"abc\0"),
               struct.pack(e + "HHI4s", 0x0112, kind, 1, value)]
    head = order.encode() + struct.pack(e + "HI", 42, 8)
    return head + struct.pack(e + "H", len(entries)) + b"".join(entries) + bytes(4)


def make_jpeg(files):
    def save(name, image, **how):
        b = io.BytesIO()
        image.save(b, "JPEG", **how)
        files[name] = b.getvalue()

    image = Image.fromarray(scene(61, 43))
    for i, name in enumerate(("444", "422", "420")):
        save(f"jpeg_{name}.jpg", image, quality=85, subsampling=i)
    save("jpeg_progressive.jpg", image, quality=80, progressive=True)
    save("jpeg_restart.jpg", image, quality=80, restart_marker_rows=1)
    save("jpeg_grey.jpg", image.convert("L"), quality=80)
    save("jpeg_grey_progressive.jpg", image.convert("L"), quality=80, progressive=True)
    save("jpeg_low.jpg", image, quality=5)
    save("jpeg_rgb.jpg", image, quality=90, keep_rgb=True)
    save("jpeg_1x1.jpg", image.resize((1, 1)), quality=80)
    cmyk = image.convert("CMYK")
    save("jpeg_cmyk.jpg", cmyk, quality=85)
    # The same bytes read as YCCK: Adobe's marker says so in its last byte.
    at = files["jpeg_cmyk.jpg"].index(b"Adobe") + 11
    data = bytearray(files["jpeg_cmyk.jpg"])
    assert data[at] == 0
    data[at] = 2
    files["jpeg_ycck.jpg"] = bytes(data)
    small = Image.fromarray(scene(24, 16))
    for o in range(1, 9):
        save(f"exif_{o}.jpg", small, quality=90,
             exif=b"Exif\0\0" + exif_block(o, "II" if o % 2 else "MM"))
    save("exif_long.jpg", small, quality=90, exif=b"Exif\0\0" + exif_block(6, "II", 4))
    save("exif_9.jpg", small, quality=90, exif=b"Exif\0\0" + exif_block(9, "MM"))
    for o in (1, 5, 8):
        files[f"exif_{o}.png"] = png(scene(9, 5).astype(int), 8, 2, exif=exif_block(o, "MM"))


def make_gif(files):
    def save(name, image, **how):
        b = io.BytesIO()
        image.save(b, "GIF", **how)
        files[name] = b.getvalue()

    image = Image.fromarray(scene(41, 27)).quantize(61)
    save("gif_palette.gif", image, interlace=0)
    save("gif_interlaced.gif", image, interlace=1)
    for h in (1, 2, 3, 4, 5):
        save(f"gif_interlaced_{h}.gif", image.resize((3, h)), interlace=1)
    save("gif_transparent.gif", image, transparency=7, interlace=0, optimize=False)
    save("gif_grey.gif", Image.fromarray(scene(41, 27)).convert("L"), interlace=0)
    save("gif_bits.gif", Image.fromarray(scene(41, 27)).convert("1"), interlace=0)
    save("gif_noise.gif", Image.fromarray(noise(150, 90)[..., 0]), interlace=0)
    save("gif_animated.gif", image, save_all=True, interlace=0,
         append_images=[image.transpose(Image.Transpose.ROTATE_180)], duration=50, loop=0)
    frame = files["gif_transparent.gif"].index(b"\x2c" + struct.pack("<HHHH", 0, 0, 41, 27))
    for name, screen, corner in (("inside", (50, 40), (5, 9)), ("outside", (20, 20), (3, 1))):
        for base in ("transparent", "palette"):
            data = bytearray(files[f"gif_{base}.gif"])
            frame = data.index(b"\x2c" + struct.pack("<HHHH", 0, 0, 41, 27))
            data[6:10] = struct.pack("<HH", *screen)
            data[frame + 1 : frame + 5] = struct.pack("<HH", *corner)
            files[f"gif_{name}_{base}.gif"] = bytes(data)


def bmp(w, h, bits, rows, palette=b"", masks=b"", down=False, old=False):
    if old:
        head = struct.pack("<IHHHH", 12, w, h, 1, bits)
    else:
        head = struct.pack("<IiiHHIIiiII", 40, w, -h if down else h, 1, bits, 3 if masks else 0, 0,
                           0, 0, len(palette) // 4, 0)
    offset = 14 + len(head) + len(masks) + len(palette)
    body = head + masks + palette + rows
    return b"BM" + struct.pack("<IHHI", 14 + len(body), 0, 0, offset) + body


def make_bmp(files):
    for mode in ("1", "L", "P", "RGB", "RGBA"):
        b = io.BytesIO()
        Image.fromarray(scene()).convert(mode).save(b, "BMP")
        files[f"bmp_{mode}.bmp"] = b.getvalue()
    colours = rng.integers(0, 256, (16, 4), dtype=np.uint8)
    colours[:, 3] = 0
    for bits in (1, 4, 8):
        palette = colours[: 2 if bits == 1 else 16].tobytes()
        index = rng.integers(0, 2 if bits == 1 else 16, (5, 16))
        per = 8 // bits
        packed = sum(index[:, i::per] << (bits * (per - 1 - i)) for i in range(per))
        rows = b"".join(bytes(r.tolist()).ljust((len(r) + 3) // 4 * 4, b"\0") for r in packed)
        files[f"bmp_{bits}_palette.bmp"] = bmp(16, 5, bits, rows, palette)
        files[f"bmp_{bits}_down.bmp"] = bmp(16, 5, bits, rows, palette, down=True)
    words = np.arange(1 << 16, dtype="<u2")[:: 1 << 5]
    words = np.concatenate([words, np.arange(64, dtype="<u2")]).tobytes()
    files["bmp_555.bmp"] = bmp(64, 33, 16, words)
    files["bmp_565.bmp"] = bmp(64, 33, 16, words, masks=struct.pack("<III", 0xF800, 0x7E0, 0x1F))
    files["bmp_32_masks.bmp"] = bmp(8, 8, 32, noise(8, 11)[:, :, 0].tobytes() * 3,
                                    masks=struct.pack("<III", 0xFF000000, 0xFF0000, 0xFF00))
    files["bmp_old.bmp"] = bmp(8, 4, 24, noise(8, 4).tobytes(), old=True)


def make_pnm(files):
    g = noise(23, 7)[:, :, 0]
    files["pnm_p5.pgm"] = b"P5\n# a comment\n23 7\n255\n" + g.tobytes()
    files["pnm_p5_max100.pgm"] = b"P5 23 7 100\n" + (g % 110).tobytes()
    files["pnm_p5_16.pgm"] = b"P5 23 7 65535\n" + (g.astype(">u2") * 3).tobytes()
    files["pnm_p5_max1000.pgm"] = b"P5 23 7 1000\n" + (g.astype(">u2") % 9).tobytes()
    files["pnm_p6.ppm"] = b"P6\n11 9\n255\n" + noise(11, 9).tobytes()
    files["pnm_p6_max31.ppm"] = b"P6\n11 9\n31\n" + (noise(11, 9) % 33).tobytes()
    files["pnm_p6_16.ppm"] = b"P6 11 9 65535\n" + (noise(11, 9).astype(">u2") * 257).tobytes()
    files["pnm_p6_max1000.ppm"] = b"P6 11 9 1000\n" + (noise(11, 9).astype(">u2") * 4).tobytes()
    files["pnm_p4.pbm"] = b"P4\n19 5\n" + noise(3, 5)[:, :, 0].tobytes()


# ---- WebP, and what is odd about modes, chunks and first frames

def riff(chunks):
    body = b"".join(k + struct.pack("<I", len(d)) + d + bytes(len(d) % 2) for k, d in chunks)
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def webp_chunks(data):
    at = 12
    while at < len(data):
        size = struct.unpack("<I", data[at + 4 : at + 8])[0]
        yield data[at : at + 4], data[at + 8 : at + 8 + size]
        at += 8 + size + size % 2


def make_webp(files):
    def save(name, image, **how):
        b = io.BytesIO()
        image.save(b, "WEBP", **how)
        files[name] = b.getvalue()
        return list(webp_chunks(files[name]))

    image = Image.fromarray(scene(61, 43))
    alpha = np.dstack([scene(61, 43), np.arange(61 * 43).reshape(43, 61) * 3 % 256])
    alpha[5:20, 7:40, 3] = 0
    alpha = Image.fromarray(alpha.astype(np.uint8))
    save("webp_lossy.webp", image, quality=80)
    save("webp_low.webp", image, quality=0)
    save("webp_high.webp", image, quality=100, method=6)
    save("webp_lossy_alpha.webp", alpha, quality=70, exact=True)
    save("webp_lossy_alpha_low.webp", alpha, quality=30, alpha_quality=20)
    save("webp_lossless.webp", image, lossless=True)
    save("webp_lossless_alpha.webp", alpha, lossless=True, exact=True)
    save("webp_lossless_palette.webp", image.quantize(13).convert("RGB"), lossless=True)
    save("webp_lossless_two.webp", image.convert("1").convert("RGB"), lossless=True)
    save("webp_grey.webp", image.convert("L"), quality=60)
    save("webp_wide.webp", Image.fromarray(noise(301, 3)), quality=50)
    for w, h in ((1, 1), (2, 1), (1, 5), (16, 16), (17, 33)):
        save(f"webp_{w}x{h}.webp", Image.fromarray(noise(w, h)), quality=75)
        save(f"webp_lossless_{w}x{h}.webp", Image.fromarray(noise(w, h)), lossless=True)
    save("webp_icc.webp", image, quality=80, icc_profile=bytes(130))
    for o, prefix in ((6, b""), (3, b"Exif\0\0")):
        save(f"exif_{o}.webp", Image.fromarray(scene(24, 16)), quality=90,
             exif=prefix + exif_block(o, "MM"))
    # Without the flag in VP8X the note does not count.
    data = bytearray(files["exif_6.webp"])
    data[20] &= ~8
    files["exif_unflagged.webp"] = bytes(data)
    other = image.transpose(Image.Transpose.ROTATE_180)
    save("webp_animated.webp", image, save_all=True, append_images=[other], duration=50, quality=60)
    chunks = save("webp_animated_alpha.webp", alpha, save_all=True, append_images=[other],
                  duration=50, lossless=True, exact=True, background=(9, 90, 200, 255))
    # The first frame moved into a larger canvas: 100 x 60, from (14, 6).
    moved = []
    for kind, body in chunks:
        if kind == b"VP8X":
            body = body[:4] + struct.pack("<I", 99)[:3] + struct.pack("<I", 59)[:3]
        elif kind == b"ANMF":
            body = struct.pack("<I", 7)[:3] + struct.pack("<I", 3)[:3] + body[6:]
        moved.append((kind, body))
    files["webp_animated_inside.webp"] = riff(moved)


def with_chunks(data, *chunks):
    """A PNG with chunks put behind its IHDR."""
    return data[:33] + b"".join(png_chunk(k, d) for k, d in chunks) + data[33:]


def make_modes(files):
    two = struct.pack(">H", 1)
    for depth in (1, 2, 4, 16):
        files[f"png_grey{depth}_trns.png"] = png(random_samples(9, 7, depth, 0), depth, 0, trns=two)
    files["png_rgb16_trns.png"] = png(random_samples(9, 7, 16, 2), 16, 2, trns=two * 3)
    colours = rng.integers(0, 256, 48, dtype=np.uint8).tobytes()
    for depth in (1, 2, 8):
        files[f"png_palette{depth}_trns.png"] = png(
            random_samples(9, 7, min(depth, 4), 3), depth, 3, depth == 8,
            palette=colours[: 3 << min(depth, 4)], trns=bytes([0, 99]))
    # Grey of 16 bits: values up to 255 stay, larger ones are white.
    dark = rng.integers(200, 300, (7, 9, 1))
    files["png_grey16_dark.png"] = png(dark, 16, 0)
    files["png_grey16_alpha.png"] = png(np.dstack([dark, dark * 200]), 16, 4)
    plain = png(random_samples(9, 7, 8, 2), 8, 2)
    files["png_colour_chunks.png"] = with_chunks(
        plain, (b"gAMA", struct.pack(">I", 100000)), (b"sRGB", b"\0"), (b"sBIT", bytes([5, 6, 5])),
        (b"iCCP", b"x\0\0" + zlib.compress(bytes(200))), (b"bKGD", struct.pack(">3H", 9, 9, 9)))

    # APNG: the picture in IDAT comes first, whether the animation begins with it or not.
    control = struct.pack(">IIIIIHHBB", 0, 9, 7, 0, 0, 1, 10, 0, 0)
    later = struct.pack(">IIIIIHHBB", 1, 9, 7, 0, 0, 1, 10, 0, 0)
    pixels = struct.pack(">I", 2) + zlib.compress(bytes(7 * (1 + 9 * 3)))
    end = png_chunk(b"fcTL", later) + png_chunk(b"fdAT", pixels) + png_chunk(b"IEND", b"")
    files["apng_first.png"] = with_chunks(plain, (b"acTL", struct.pack(">II", 2, 0)),
                                          (b"fcTL", control))[:-12] + end
    end = png_chunk(b"fcTL", control) + png_chunk(b"fdAT", struct.pack(">I", 1) + pixels[4:])
    files["apng_default.png"] = with_chunks(plain, (b"acTL", struct.pack(">II", 1, 0)))[:-12] + \
        end + png_chunk(b"IEND", b"")

    # Other samplings, made by calling the blocks of one what they are in another.
    def resampled(name, factors, swap=False):
        data = bytearray(files[name])
        at = data.index(b"\xff\xc0\x00\x11\x08") + 5
        if swap:
            data[at : at + 4] = data[at + 2 : at + 4] + data[at : at + 2]
        data[at + 6] = factors
        return bytes(data)

    files["jpeg_440.jpg"] = resampled("jpeg_422.jpg", 0x12, swap=True)
    files["jpeg_411.jpg"] = resampled("jpeg_420.jpg", 0x41)
    data = files["jpeg_cmyk.jpg"]
    at = data.index(b"\xff\xee")
    files["jpeg_cmyk_unmarked.jpg"] = data[:at] + data[at + 2 + data[at + 3] :]
    image = Image.fromarray(scene(61, 43))
    b = io.BytesIO()
    image.save(b, "MPO", save_all=True, append_images=[image.transpose(Image.Transpose.ROTATE_180)])
    files["jpeg_two_pictures.jpg"] = b.getvalue()
    files["jpeg_tail.jpg"] = files["jpeg_420.jpg"] + b"more bytes behind the end"

    # GIF: a palette of the frame's own, and a first frame that leaves free what is transparent.
    data = files["gif_palette.gif"]
    colours = 3 * (2 << (data[10] & 7))
    table = data[13 : 13 + colours]
    at = data.index(b"\x2c" + struct.pack("<HHHH", 0, 0, 41, 27))
    frame = data[at : at + 9] + bytes([0x80 | (data[10] & 7)]) + table + data[at + 10 :]
    head = data[:6] + struct.pack("<HH", 50, 40)
    none = bytes([data[10] & 0x70, 0, 0])
    files["gif_local.gif"] = head + none + frame
    files["gif_both.gif"] = head + data[10:13] + table[::-1] + frame
    control = b"\x21\xf9\x04" + bytes([1 | 2 << 2, 5, 0, 3]) + b"\0"
    files["gif_first_inside.gif"] = head + data[10:13] + table + b"\x21\xfe\x03abc\0" + control + \
        frame[:1] + struct.pack("<HH", 6, 2) + frame[5:-1] + control + frame

    # BMP with the longest header, whose masks name an alpha channel.
    head = struct.pack("<IiiHHIIiiII", 124, 8, 8, 1, 32, 3, 256, 0, 0, 0, 0)
    head += struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0xFF000000) + b"BGRs" + bytes(64)
    files["bmp_v5.bmp"] = b"BM" + struct.pack("<IHHI", 14 + 124 + 256, 0, 0, 138) + head + \
        noise(8, 11)[:, :, 0].tobytes() * 2 + noise(8, 10)[:, :, 1].tobytes()


# ---- What Pillow makes of them

def crc(image):
    return zlib.crc32(np.ascontiguousarray(np.asarray(image)).tobytes())


RESIZES = [  # source, target
    ((1, 1), (1, 1)), ((1, 1), (7, 5)), ((2, 3), (224, 336)), ((5, 3), (3, 2)), ((4, 4), (8, 8)),
    ((37, 53), (224, 321)), ((101, 67), (47, 31)), ((101, 67), (47, 67)), ((101, 67), (101, 31)),
    ((333, 251), (224, 168)), ((17, 300), (23, 11)), ((300, 17), (11, 23)), ((64, 64), (63, 65)),
    ((60, 200), (24, 80)), ((1, 60000), (5, 7)), ((60000, 1), (7, 5)), ((2, 5000), (3, 40)),
    ((640, 427), (336, 224)), ((255, 511), (32, 32)),
]


def drafts(name):
    """Image.draft at a half, a quarter and an eighth: name, the side asked for, what comes."""
    out = []
    for scale in (2, 4, 8):
        with Image.open(FILES / name) as image:
            side = min(image.size) // scale
            if side == 0:
                continue
            image.draft(None, (side, side))
            image = image.convert("RGB")
        out.append(f'    {{ "{name}", {side}, {image.width}, {image.height}, '
                   f"0x{crc(image):08x}u }},")
    return out


def main():
    files = {}
    for make in (make_png, make_jpeg, make_gif, make_bmp, make_pnm, make_webp, make_modes):
        make(files)
    FILES.mkdir(parents=True, exist_ok=True)
    for old in FILES.iterdir():
        old.unlink()
    lines = []
    for name in sorted(files):
        (FILES / name).write_bytes(files[name])
        with Image.open(FILES / name) as image:
            plain = image.convert("RGB")
            upright = ImageOps.exif_transpose(image).convert("RGB")
        lines.append(f'    {{ "{name}", {plain.width}, {plain.height}, 0x{crc(plain):08x}u, '
                     f"{upright.width}, {upright.height}, 0x{crc(upright):08x}u }},")
    reduced = [line for name in sorted(files) if name.endswith(".jpg") for line in drafts(name)]
    sizes = []
    for (w, h), (tw, th) in RESIZES:
        image = Image.fromarray(noise(w, h))
        for name, how in FILTERS.items():
            sizes.append(f"    {{ {w}, {h}, {tw}, {th}, CCU_RESAMPLE_{name}, "
                         f"0x{crc(image.resize((tw, th), how)):08x}u }},")
    text = f"""/* Made by make_image_golden.py with Pillow {PIL.__version__} (libjpeg-turbo \
{features.version("libjpeg_turbo")}, libwebp {features.version("webp")}).
 * CRC-32 of RGB bytes. */
#ifndef CCU_GOLDEN_IMAGE_GOLDEN_H
#define CCU_GOLDEN_IMAGE_GOLDEN_H

#include <stdint.h>

#include "base/kinds.h"

/* Image.open(name).convert("RGB"), and the same after ImageOps.exif_transpose. */
typedef struct golden_file {{
    const char *name;
    int32_t     W, H;
    uint32_t    crc;
    int32_t     upright_W, upright_H;
    uint32_t    upright_crc;
}} golden_file;

static const golden_file golden_files[] = {{
{chr(10).join(lines)}
}};

/* The same of JPEGs, after Image.draft(None, (side, side)). */
typedef struct golden_draft {{
    const char *name;
    int32_t     side;
    int32_t     W, H;
    uint32_t    crc;
}} golden_draft;

static const golden_draft golden_drafts[] = {{
{chr(10).join(reduced)}
}};

/* make_noise(W, H) resized. */
typedef struct golden_resize {{
    int32_t      W, H;
    int32_t      to_W, to_H;
    ccu_resample resample;
    uint32_t     crc;
}} golden_resize;

static const golden_resize golden_resizes[] = {{
{chr(10).join(sizes)}
}};

#endif
"""
    HEADER.write_text(text)
    print(f"{len(files)} files, {sum(map(len, files.values()))} bytes; {len(reduced)} drafts, "
          f"{len(sizes)} resizes")


main()
