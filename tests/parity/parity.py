#!/usr/bin/env python3
# Full-size parity: every listed architecture with random weights, clipcu beside transformers or
# open_clip on the same files. Not a part of `make test`: it needs PyTorch, and the largest models
# want 24 GB of memory and 12 GB of disk.
#
#   python3 tests/parity/parity.py --clipcu build/clipcu --merges bpe_simple_vocab_16e6.txt.gz
#       [--photos FOLDER] [--only "ViT-B/32,..."] [--skip ...] [--pictures N] [--work FOLDER]
#
# Needs torch, transformers 5, open_clip_torch 3, Pillow, numpy. --merges is OpenAI's vocabulary,
# which the wheel of open_clip_torch carries. --photos adds real JPEG files to the synthetic PNG
# pictures, and a check that 200 class names rank the same on all of them.
#
# Per model and precision, over all pictures and texts:
#   f32    cosine >= 0.999999 and largest difference of unit rows <= 2e-6 * sqrt(layers)
#   bf16   cosine >= 0.999
#   int8   cosine >= 0.99
# Ends with a table on standard output; exit status 1 if any row failed.

import argparse
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import numpy as np
from PIL import Image

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "golden"))

from architectures import ARCHITECTURES, CLASS_NAMES, TEXTS  # noqa: E402

PICTURES = [(640, 427), (427, 640), (500, 375), (100, 60), (231, 224), (1024, 300)]
COSINES = {"f32": 0.999999, "bf16": 0.999, "int8": 0.99}


def make_pictures(directory):
    """Structured noise as PNG, in sizes that shrink, grow and crop oddly."""
    import oracle

    paths = []
    for index, (width, height) in enumerate(PICTURES):
        path = directory / f"picture{index}.png"
        Image.fromarray(oracle.picture(index, width, height)).save(path)
        paths.append(path)
    return paths


def make_reference(name, options, model, images, texts):
    texts_file, reference = model.with_suffix(".json"), model.with_suffix(".npz")
    texts_file.write_text(json.dumps(texts))
    command = [sys.executable, HERE / "make_reference.py", name, model, reference, options.merges,
               texts_file, *images]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"make_reference.py {name}:\n{done.stderr[-4000:]}")
    with np.load(reference) as arrays:
        return {key: arrays[key] for key in arrays}


def clipcu(options, *arguments):
    command = [options.clipcu, *map(str, arguments)]
    if options.threads:
        command += ["--threads", str(options.threads)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}\nexit {done.returncode}\n{done.stderr[-2000:]}")
    return done.stdout


def embed(options, model, precision, images, texts):
    """Unit rows of pictures and texts as the command writes them."""
    lines = model.with_suffix(".txt")
    lines.write_text("\n".join(texts) + "\n", encoding="utf-8")
    common = ["embed", "--model", model, "--device", "cpu", "--precision", precision]
    prefix = model.with_suffix(f".{precision}.out")
    clipcu(options, *common, "--batch", 2, "-o", f"{prefix}.images", *images)
    clipcu(options, *common, "-o", f"{prefix}.texts", "--text", lines)
    return [np.load(f"{prefix}.{kind}.npy") for kind in ("images", "texts")]


def compare(precision, got, want, layers):
    """One row of the table."""
    if got.shape != want.shape:
        return {"error": f"shape {got.shape}, expected {want.shape}", "good": False}
    got, want = got.astype(np.float64), want.astype(np.float64)
    norms = np.linalg.norm(got, axis=1) * np.linalg.norm(want, axis=1)
    cosine = float(np.min(np.sum(got * want, axis=1) / norms))
    off = float(np.max(np.abs(got - want)))
    bound = 2e-6 * layers**0.5 if precision == "f32" else None
    good = cosine >= COSINES[precision] and (bound is None or off <= bound)
    return {"cosine": cosine, "off": off, "bound": bound, "good": bool(good)}


def check_compare():
    """The comparison fails where it should."""
    rows = np.eye(4, 8, dtype=np.float32)
    turned = rows.copy()
    turned[2, 7] = 1e-4
    missing = rows.copy()
    missing[1, 1] = np.nan
    assert compare("f32", rows, rows, 12)["good"]
    assert not compare("f32", turned, rows, 12)["good"]
    assert compare("bf16", turned, rows, 12)["good"]
    assert not compare("bf16", rows[::-1], rows, 12)["good"]
    assert not compare("bf16", missing, rows, 12)["good"]
    assert not compare("f32", rows[:3], rows, 12)["good"]


def top1(options, model, reference, photos):
    """Whether clipcu classify names the class that the reference does, photo by photo."""
    labels = model.with_suffix(".labels")
    labels.write_text("\n".join(CLASS_NAMES) + "\n")
    out = clipcu(options, "classify", "--model", model, "--device", "cpu", "--labels", labels,
                 "--format", "jsonl", "--top", 1, *photos)
    got = [first_label(json.loads(line)) for line in out.splitlines() if line.strip()]
    cosines = reference["images"][-len(photos):] @ reference["texts"][len(TEXTS):].T
    want = [CLASS_NAMES[i] for i in cosines.argmax(1)]
    same = sum(a == b for a, b in zip(got, want, strict=True))
    best = np.sort(cosines, axis=1)
    return {"same": same, "of": len(photos), "classes": len(set(want)),
            "margin": float((best[:, -1] - best[:, -2]).min()), "good": same == len(photos)}


def first_label(line):
    return line["labels"][0]["label"]


def chosen(spec, options, pictures, photos):
    """Synthetic pictures and photos in equal parts, fewer where one of them takes seconds."""
    tokens = (spec["image"][0] // spec["image"][1]) ** 2 + 1
    slow = tokens * spec["image"][2] ** 2 * spec["image"][3] > 5e9  # from L/14 on
    limit = min(options.pictures, 2 if spec["image"][3] >= 32 else 4 if slow else 10)
    half = min(len(photos), limit // 2)
    return pictures[: limit - half] + photos[:half]


def run_model(name, options, work, pictures, photos):
    spec = ARCHITECTURES[name]
    ranks = name == "ViT-B/32" and photos
    images = pictures + photos if ranks else chosen(spec, options, pictures, photos)
    texts = TEXTS + ([f"a photo of a {c}." for c in CLASS_NAMES] if ranks else [])
    model = work / name.replace("/", "-").replace(" ", "_").replace("@", "-")
    rows = []
    try:
        begun = time.monotonic()
        reference = make_reference(name, options, model, images, texts)
        seconds = time.monotonic() - begun
        for precision in options.precision.split(","):
            begun = time.monotonic()
            got = embed(options, model, precision, images, texts)
            row = {"name": name, "precision": precision, "images_count": len(images),
                   "texts_count": len(texts), "parameters": int(reference["parameters"]),
                   "torch_s": seconds, "clipcu_s": time.monotonic() - begun}
            for kind, layers, rows_got in zip(("images", "texts"),
                                              (spec["image"][3], spec["text"][1]), got):
                row[kind] = compare(precision, rows_got, reference[kind], layers)
            rows.append(row)
        if ranks:
            rows.append({"name": name, "top1": top1(options, model, reference, photos)})
    finally:
        if not options.keep:
            for path in work.glob(model.name + "*"):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
    return rows


def cell(result):
    if "error" in result:
        return result["error"]
    bound = f" (<= {result['bound']:.1e})" if result["bound"] else ""
    return f"{result['cosine']:.7f}  {result['off']:.1e}{bound}"


def show(row):
    if "failure" in row:
        return f"| {row['name']} | FAILED: {row['failure'].splitlines()[-1][:120]} |"
    if "top1" in row:
        t = row["top1"]
        return (f"| {row['name']} | top-1 of {len(CLASS_NAMES)} classes | same on {t['same']} of "
                f"{t['of']} photos ({t['classes']} different classes, smallest margin "
                f"{t['margin']:.1e}) | | | {'ok' if t['good'] else 'FAILED'} |")
    good = row["images"]["good"] and row["texts"]["good"]
    return (f"| {row['name']} | {row['parameters'] / 1e6:.1f} M | {row['precision']} "
            f"| {row['images_count']}: {cell(row['images'])} "
            f"| {row['texts_count']}: {cell(row['texts'])} | {'ok' if good else 'FAILED'} |")


def is_good(row):
    if "failure" in row:
        return False
    if "top1" in row:
        return row["top1"]["good"]
    return row["images"]["good"] and row["texts"]["good"]


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("--clipcu", required=True, help="the command to test")
    parser.add_argument("--merges", required=True, help="bpe_simple_vocab_16e6.txt.gz")
    parser.add_argument("--photos", help="folder of JPEG files")
    parser.add_argument("--only", help="comma-separated names")
    parser.add_argument("--skip", default="", help="comma-separated names")
    parser.add_argument("--pictures", type=int, default=10, help="at most so many per model")
    parser.add_argument("--precision", default="f32,bf16")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--work", help="where models are put while they are compared")
    parser.add_argument("--keep", action="store_true", help="do not delete them")
    parser.add_argument("--json", help="write the figures there too, one object per line")
    return parser.parse_args()


def main():
    options = parse()
    check_compare()
    names = options.only.split(",") if options.only else list(ARCHITECTURES)
    names = [name for name in names if name not in options.skip.split(",")]
    photos = sorted(pathlib.Path(options.photos).glob("*.jpg")) if options.photos else []
    rows = []
    with tempfile.TemporaryDirectory(dir=options.work) as work:
        work = pathlib.Path(work)
        pictures = make_pictures(work)
        for name in names:
            try:
                new = run_model(name, options, work, pictures, photos)
            except (RuntimeError, OSError, ValueError) as failure:
                new = [{"name": name, "failure": str(failure)}]
                print(failure, file=sys.stderr)
            for row in new:
                rows.append(row)
                print(show(row), flush=True)
                if options.json:
                    with open(options.json, "a") as file:
                        file.write(json.dumps(row) + "\n")
        if options.keep:
            shutil.copytree(work, f"{work}.kept")
    bad = sum(not is_good(row) for row in rows)
    print(f"{len(rows)} rows, {bad} failed")
    return 1 if bad or not rows else 0


if __name__ == "__main__":
    sys.exit(main())
