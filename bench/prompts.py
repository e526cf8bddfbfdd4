#!/usr/bin/env python3
"""Learned prompts on the demo model: zero-shot, CoOp with 1 to 16 shots, CoCoOp, and base to new.

    bench/prompts.py --clipcu build/clipcu [--out bench/results/prompts] [--seeds 3] [--epochs 30]

The data are 20 emoji that the demo model knows, set into scenes that it does not: turned, scaled,
dimmed and blurred on a background of colours beside two smaller emoji. 16 scenes of each class to
learn from, 25 others to test with; they are made anew from one seed (weights/demo_data.py says
which Debian packages the pictures and names are from). Every number comes from `clipcu learn` and
`clipcu eval` and goes into OUT/results.jsonl; what stands there is not run again. OUT/README.md
and two SVG plots are written from it.

CoOp here runs --epochs epochs whatever the shots; the papers have up to 200. Needs Pillow."""
import argparse
import json
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
CLASSES, TRAIN, TEST, SIDE = 20, 16, 25, 160
SHOTS = (1, 2, 4, 8, 16)
INIT = "a photo of a"


# ---- Scenes ---------------------------------------------------------------------------------


def pick_classes(draw):
    """Emoji with short names of their own, and the rest for company."""
    sys.path.insert(0, str(ROOT / "weights"))
    from demo_data import load_emoji

    plain = [e for e in load_emoji() if not e["held_out"] and e["base"] == e["name"]
             and len(e["name"].split()) <= 2 and e["name"].replace(" ", "").isalpha()]
    chosen = sorted(draw.sample(plain, CLASSES), key=lambda e: e["name"])
    names = {e["name"] for e in chosen}
    return chosen, [e for e in plain if e["name"] not in names]


def scene(draw, emoji, others):
    from PIL import Image, ImageEnhance, ImageFilter

    corners = bytes(draw.randrange(256) for _ in range(12))
    canvas = Image.frombytes("RGB", (2, 2), corners).resize((SIDE, SIDE), Image.BICUBIC)
    for item, least, most in [(e, 40, 60) for e in draw.sample(others, 2)] + [(emoji, 80, 130)]:
        side = draw.randint(least, most)
        picture = item["picture"].resize((side, side), Image.BICUBIC)
        picture = picture.rotate(draw.uniform(-40, 40), Image.BICUBIC)
        at = draw.randint(0, SIDE - side), draw.randint(0, SIDE - side)
        canvas.paste(picture, at, picture)
    canvas = ImageEnhance.Brightness(canvas).enhance(draw.uniform(0.5, 1.3))
    canvas = ImageEnhance.Color(canvas).enhance(draw.uniform(0.3, 1.2))
    return canvas.filter(ImageFilter.GaussianBlur(draw.uniform(0, 1.5)))


def make_data(folder):
    draw = random.Random(2024)
    chosen, others = pick_classes(draw)
    for split, count in (("train", TRAIN), ("test", TEST)):
        for emoji in chosen:
            to = folder / split / emoji["name"].replace(" ", "_")
            to.mkdir(parents=True)
            for i in range(count):
                scene(draw, emoji, others).save(to / f"{i:02}.png")
    return [e["name"] for e in chosen]


# ---- Runs -----------------------------------------------------------------------------------


class Runs:
    """What was run stands in a file of JSON lines, and is not run again."""

    def __init__(self, clipcu, data, out):
        self.clipcu, self.data, self.file = clipcu, data, out / "results.jsonl"
        self.model = ROOT / "weights" / "demo"
        lines = self.file.read_text().splitlines() if self.file.exists() else []
        self.done = [json.loads(line) for line in lines]

    def call(self, *arguments):
        return subprocess.run([self.clipcu, *map(str, arguments), "-q", "--model", self.model],
                              check=True, capture_output=True, text=True).stdout

    def evaluate(self, halves, *arguments):
        found = json.loads(self.call("eval", self.data / "test", "--format", "json",
                                     *(["--base-new"] if halves else []), *arguments))
        if not halves:
            return {"top1": found["top1"]}
        return {"base": found["base"]["top1"], "new": found["new"]["top1"],
                "harmonic_mean": found["harmonic_mean"]}

    def row(self, key, run):
        for line in self.done:
            if all(line[name] == value for name, value in key.items()):
                return line
        line = key | run()
        self.done.append(line)
        with open(self.file, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        print(json.dumps(line)[:160], flush=True)
        return line

    def zero_shot(self, halves):
        key = {"method": "zero-shot", "shots": 0, "seed": 0, "halves": halves}
        return self.row(key, lambda: self.evaluate(halves))

    def learn(self, method, shots, seed, halves, epochs):
        key = {"method": method, "shots": shots, "seed": seed, "halves": halves, "epochs": epochs}

        def run():
            with tempfile.TemporaryDirectory() as folder:
                prompt, log = f"{folder}/p.safetensors", pathlib.Path(folder) / "log"
                self.call("learn", method, self.data / "train", "--shots", shots, "--seed", seed,
                          "--init", INIT, "--epochs", epochs, "-o", prompt, "--log", log,
                          *(["--base-new"] if halves else []))
                loss = [json.loads(line)["loss"] for line in log.read_text().splitlines()]
                return self.evaluate(halves, "--prompt", prompt) | {"loss": loss}

        return self.row(key, run)


# ---- Plots ----------------------------------------------------------------------------------

COLOURS = ("#2563eb", "#dc2626", "#059669", "#d97706", "#7c3aed")


def plot(path, title, x_label, y_label, series, x_marks, y_range):
    """series: {name: [(x, y)]}; x_marks: {x: text}"""
    left, top, width, height = 60, 40, 480, 260
    low, high = y_range
    xs = sorted(x_marks)

    def place(x, y):
        return (left + width * (x - xs[0]) / (xs[-1] - xs[0]),
                top + height * (high - y) / (high - low))

    parts = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 360" font-size="13" '
             'font-family="system-ui, sans-serif">',
             '<rect width="720" height="360" fill="#ffffff"/>',
             f'<text x="{left}" y="22" font-weight="600">{title}</text>']
    for i in range(6):
        value = low + (high - low) * i / 5
        y = place(xs[0], value)[1]
        parts.append(f'<path d="M{left} {y:.1f}h{width}" stroke="#e5e7eb"/>'
                     f'<text x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">{value:.3g}</text>')
    for x, text in x_marks.items():
        parts.append(f'<text x="{place(x, low)[0]:.1f}" y="{top + height + 18}" '
                     f'text-anchor="middle">{text}</text>')
    parts.append(f'<text x="{left + width / 2}" y="{top + height + 38}" text-anchor="middle">'
                 f'{x_label}</text><text x="16" y="{top + height / 2}" text-anchor="middle" '
                 f'transform="rotate(-90 16 {top + height / 2})">{y_label}</text>')
    for i, (name, points) in enumerate(series.items()):
        colour = COLOURS[i % len(COLOURS)]
        line = " ".join("{:.1f},{:.1f}".format(*place(*p)) for p in points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" '
                     'stroke-width="2"/>')
        parts.append(f'<path d="M560 {top + 20 + 22 * i}h18" stroke="{colour}" stroke-width="3"/>'
                     f'<text x="584" y="{top + 24 + 22 * i}">{name}</text>')
    path.write_text("\n".join(parts + ["</svg>", ""]))


# ---- The report -----------------------------------------------------------------------------


def spread(values):
    """Mean and population deviation, in percent."""
    values = [100 * v for v in values]
    return f"{statistics.mean(values):.1f} ± {statistics.pstdev(values):.1f}"


def report(out, all_rows, halves, zero, zero_halves, arguments):
    lines = ["# Learned prompts on the demo model", "",
             "Made by [bench/prompts.py](../../prompts.py), which tells what the pictures are: "
             f"{CLASSES} emoji in scenes, {TEST} test scenes of each. Prompts begin as "
             f'"{INIT}"; CoOp learns for {arguments.epochs} epochs, CoCoOp for 10 at batch 1. '
             f"Means and deviations over {arguments.seeds} seeds, which draw the shots, their "
             "order and their views.", "",
             "| all classes | top-1, % |", "|---|--:|",
             f'| zero-shot, "a photo of a {{}}." | {100 * zero["top1"]:.1f} |']
    for (method, shots), rows in all_rows.items():
        lines.append(f"| {method}, {shots} shot{'s' if shots > 1 else ''} | "
                     f"{spread([r['top1'] for r in rows])} |")
    lines += ["", "Learned on the first 10 classes with 16 shots, tested on those (base) and on "
              "the other 10 (new), each against its own half:", "",
              "| | base | new | harmonic mean |", "|---|--:|--:|--:|",
              f"| zero-shot | {100 * zero_halves['base']:.1f} | {100 * zero_halves['new']:.1f} | "
              f"{100 * zero_halves['harmonic_mean']:.1f} |"]
    for method, rows in halves.items():
        base, new = ([r[key] for r in rows] for key in ("base", "new"))
        b, n = statistics.mean(base), statistics.mean(new)
        lines.append(f"| {method} | {spread(base)} | {spread(new)} | "
                     f"{200 * b * n / (b + n):.1f} |")
    lines += ["", "The harmonic mean is that of the means, as in the paper.", "",
              "![accuracy against shots](accuracy.svg)", "", "![loss](loss.svg)", ""]
    discussion = out / "discussion.md"
    if discussion.exists():
        lines += [discussion.read_text()]
    (out / "README.md").write_text("\n".join(lines))
    points = [(i, 100 * statistics.mean(r["top1"] for r in all_rows["coop", s]))
              for i, s in enumerate(SHOTS)]
    flat = [(i, 100 * zero["top1"]) for i in range(len(SHOTS))]
    marks = {i: str(s) for i, s in enumerate(SHOTS)}
    least = 10 * int(min(y for _, y in points + flat) // 10)
    plot(out / "accuracy.svg", "Top-1 on the test scenes", "shots of each class", "%",
         {"CoOp": points, "zero-shot": flat}, marks, (least, 100))
    losses = {f"CoOp, {s} shot{'s' if s > 1 else ''}":
              [(e, v) for e, v in enumerate(all_rows["coop", s][0]["loss"], 1)] for s in SHOTS}
    most = max(v for line in losses.values() for _, v in line)
    marks = {e: str(e) for e in (1, *range(10, arguments.epochs + 1, 10))}
    plot(out / "loss.svg", "Loss while learning, first seed", "epoch", "cross-entropy", losses,
         marks, (0, float(int(most) + 1)))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--clipcu", default=ROOT / "build" / "clipcu")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "bench" / "results" / "prompts")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=30, help="of CoOp")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    seeds = range(1, arguments.seeds + 1)
    with tempfile.TemporaryDirectory() as folder:
        data = pathlib.Path(folder)
        print(f"{CLASSES} classes: {', '.join(make_data(data))}")
        runs = Runs(arguments.clipcu, data, arguments.out)
        zero, zero_halves = runs.zero_shot(False), runs.zero_shot(True)
        halves = {m: [runs.learn(m, 16, seed, True, epochs) for seed in seeds]
                  for m, epochs in (("coop", arguments.epochs), ("cocoop", 10))}
        all_rows = {("coop", shots): [runs.learn("coop", shots, seed, False, arguments.epochs)
                                      for seed in seeds] for shots in SHOTS}
        all_rows["cocoop", 16] = [runs.learn("cocoop", 16, seed, False, 10) for seed in seeds]
        report(arguments.out, all_rows, halves, zero, zero_halves, arguments)


if __name__ == "__main__":
    main()
