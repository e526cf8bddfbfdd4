#!/usr/bin/env python3
"""Picture file -> the 224 x 224 bytes of an image tower: clipcu and Pillow in turns, one thread.

    image_load.py LIBCLIPCU.so [--before OTHER.so] [--photos FOLDER] [--rounds N]

Both decode from memory, make RGB of other modes, resize by antialiased bicubic and crop the centre;
the bytes are compared first. Times are medians over rounds of one pass over the set, in turns
A B A B; a ratio is Pillow's time over ours. Decoding alone is not in clipcu.h: ours is the whole
less the resize. With --before, an older clipcu takes part as well. Sets: the JPEGs of the folder,
synthetic pictures of 2000 x 1500 as JPEG, PNG and WebP, and noise of two sizes to resize only."""
import argparse
import ctypes
import io
import json
import pathlib
import statistics
import struct
import tempfile
import time

import numpy as np
from PIL import Image

DEMO = pathlib.Path(__file__).resolve().parents[2] / "weights" / "demo"
SIDE = 224


def write_model(folder):
    """The demo model with pictures of 224 x 224; its position embeddings do not matter here."""
    (folder / "tokenizer.json").write_bytes((DEMO / "tokenizer.json").read_bytes())
    config = json.loads((DEMO / "config.json").read_text())
    config["vision_config"]["image_size"] = SIDE
    (folder / "config.json").write_text(json.dumps(config))
    prepare = json.loads((DEMO / "preprocessor_config.json").read_text())
    prepare["size"], prepare["crop_size"] = {"shortest_edge": SIDE}, {"height": SIDE, "width": SIDE}
    (folder / "preprocessor_config.json").write_text(json.dumps(prepare))
    data = (DEMO / "model.safetensors").read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + size])
    blobs = {k: data[8 + size + v["data_offsets"][0] : 8 + size + v["data_offsets"][1]]
             for k, v in header.items() if k != "__metadata__"}
    name = "vision_model.embeddings.position_embedding.weight"
    rows, width = header[name]["shape"]
    wanted = (SIDE // config["vision_config"]["patch_size"]) ** 2 + 1
    blobs[name] = bytes(len(blobs[name]) // rows * wanted)
    header[name]["shape"] = [wanted, width]
    at = 0
    for key, blob in blobs.items():
        header[key]["data_offsets"] = [at, at + len(blob)]
        at += len(blob)
    text = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(
        struct.pack("<Q", len(text)) + text + b"".join(blobs.values()))


class Options(ctypes.Structure):  # clipcu_options; the spare room is for what is added later
    _fields_ = [("bytes", ctypes.c_char * 256)]


class Ours:
    def __init__(self, library, model):
        self.c = ctypes.CDLL(library)
        self.c.clipcu_options_default.restype = Options
        options = self.c.clipcu_options_default()
        self.engine = ctypes.c_void_p()
        self.error = ctypes.create_string_buffer(1024)
        self.check(self.c.clipcu_open(str(model).encode(), ctypes.byref(options),
                                      ctypes.byref(self.engine), self.error))

    def check(self, status):
        if status != 0:
            raise SystemExit(self.error.raw[4:].split(b"\0")[0].decode())

    def whole(self, data):
        out = np.empty((SIDE, SIDE, 3), np.uint8)
        self.check(self.c.clipcu_decode_image(self.engine, b"picture", data,
                                              ctypes.c_size_t(len(data)),
                                              ctypes.c_void_p(out.ctypes.data), self.error))
        return out

    def resize(self, image):
        out = np.empty((SIDE, SIDE, 3), np.uint8)
        rgb = image[1]
        self.check(self.c.clipcu_fit_image(self.engine, ctypes.c_void_p(rgb.ctypes.data),
                                           rgb.shape[1], rgb.shape[0],
                                           ctypes.c_void_p(out.ctypes.data), self.error))
        return out


class Pillow:
    def decode(self, data):
        image = Image.open(io.BytesIO(data))
        image.load()
        return image if image.mode == "RGB" else image.convert("RGB")  # the latter would copy

    def resize(self, image):
        image = image[0]
        w, h = image.size
        short = min(w, h)
        image = image.resize((SIDE * w // short, SIDE * h // short), Image.Resampling.BICUBIC)
        x, y = (image.width - SIDE) // 2, (image.height - SIDE) // 2
        return np.asarray(image.crop((x, y, x + SIDE, y + SIDE)))

    def whole(self, data):
        return self.resize((self.decode(data), None))


def synthetic(kind, count=4, w=2000, h=1500):
    """Smooth colours, edges and noise, so that a codec has work to do."""
    rng = np.random.default_rng(1)
    y, x = np.mgrid[0:h, 0:w]
    for i in range(count):
        a = np.stack([x / w * 255, y / h * 255, (x * (i + 1) + y) / 9 % 256], -1)
        a[(x - w / 2) ** 2 + (y - h / 2) ** 2 < (h / (i + 3)) ** 2] = (250, 40, 90)
        a = np.clip(a + rng.normal(0, 5, a.shape), 0, 255).astype(np.uint8)
        out = io.BytesIO()
        Image.fromarray(a).save(out, kind, **({} if kind == "PNG" else {"quality": 85}))
        yield out.getvalue()


def check(sides, files, images):
    """Whether all sides make the same bytes; -> the calls that an older side cannot do."""
    lacking = set()
    for side, other in sides.items():
        for data, image in zip(files or [None] * len(images), images):
            try:
                pillow = sides["Pillow"]
                same = data is None or np.array_equal(other.whole(data), pillow.whole(data))
            except SystemExit:  # a kind of file that it does not read yet
                assert side == "before"
                lacking.add((side, "whole"))
                break
            same = same and np.array_equal(other.resize(image), sides["Pillow"].resize(image))
            assert same, f"{side}: other bytes than Pillow's"
    return lacking


def measure(sides, files, images, rounds, lacking):
    """-> median seconds for all inputs, by (side, call)."""
    work = [(s, "resize", images) for s in sides]
    if files:
        work += [(s, "whole", files) for s in sides] + [("Pillow", "decode", files)]
    times = {(s, call): [] for s, call, _ in work if (s, call) not in lacking}
    for _ in range(rounds):
        for side, call, inputs in work:
            if (side, call) in lacking:
                continue
            run = getattr(sides[side], call)
            begin = time.perf_counter()
            for item in inputs:
                run(item)
            times[side, call].append(time.perf_counter() - begin)
    found = {key: statistics.median(t) for key, t in times.items()}
    for s in sides:
        if (s, "decode") not in found and (s, "whole") in found:
            found[s, "decode"] = found[s, "whole"] - found[s, "resize"]
    return found


def main():
    p = argparse.ArgumentParser()
    p.add_argument("library")
    p.add_argument("--before")
    p.add_argument("--photos")
    p.add_argument("--rounds", type=int, default=7)
    a = p.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write_model(pathlib.Path(folder))
        sides = {"clipcu": Ours(a.library, folder)}
        if a.before:
            sides["before"] = Ours(a.before, folder)
    sides["Pillow"] = Pillow()
    sets = {}
    if a.photos:
        photos = sorted(pathlib.Path(a.photos).glob("*.jpg"))
        sets[f"{len(photos)} photos"] = [f.read_bytes() for f in photos]
    for kind in ("JPEG", "PNG", "WEBP"):
        sets[f"2000x1500 {kind}"] = list(synthetic(kind))
    sets = {name: (files, [sides["Pillow"].decode(f) for f in files])
            for name, files in sets.items()}
    rng = np.random.default_rng(2)
    for w, h in ((640, 480), (4000, 3000)):
        sets[f"{w}x{h}"] = None, [Image.fromarray(rng.integers(0, 256, (h, w, 3), np.uint8))]
    others = [s for s in ("Pillow", "before") if s in sides]
    heads = ["set", "work"] + [f"{s}, ms a picture" for s in sides]
    heads += [f"{s} : clipcu" for s in others]
    print("| " + " | ".join(heads) + " |\n" + "|---" * len(heads) + "|")
    for name, (files, images) in sets.items():
        images = [(i, np.asarray(i)) for i in images]
        found = measure(sides, files, images, a.rounds, check(sides, files, images))
        for call in ("decode", "resize", "whole"):
            if ("clipcu", call) not in found:
                continue
            row = {s: found.get((s, call)) for s in sides}
            cells = [f"{1e3 * t / len(images):.3f}" if t else "-" for t in row.values()]
            cells += [f"{row[s] / row['clipcu']:.2f}" if row[s] else "-" for s in others]
            print(f"| {name} | {call} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
