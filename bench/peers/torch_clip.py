#!/usr/bin/env python3
"""Image towers of CLIP in PyTorch, timed in turns with clipcu on the same device: A B A B.

    torch_clip.py [--ours build-gpu/gpu_bench] [--json FILE] [--seconds N] [--towers B/32,L/14]

The towers are written with torch.nn as the papers have them (random weights, bf16, fused
scaled_dot_product_attention), eager and by torch.compile(mode="max-autotune"). Each is timed by
events, median of many, at several batches; gpu_bench measures the same towers in a
process of its own, and all are measured a second time. PyTorch gets normalised bf16 pixels in
device memory; gpu_bench starts from bytes, so it does a little more. What does not fit into the
seconds is left out, with a row that says so. Nothing of PyTorch is used by clipcu itself."""
import argparse
import json
import subprocess
import sys
import time

import torch
from torch import nn
import torch.nn.functional as F

TOWERS = {  # width, heads, layers, mlp, embedding, side, patch, quick
    "B/32": (768, 12, 12, 3072, 512, 224, 32, True),
    "B/16": (768, 12, 12, 3072, 512, 224, 16, True),
    "L/14": (1024, 16, 24, 4096, 768, 224, 14, True),
    "L/14@336": (1024, 16, 24, 4096, 768, 336, 14, True),
    "H/14": (1280, 16, 32, 5120, 1024, 224, 14, False),
}
BATCHES = (256, 64, 32, 8, 1)
COMPILED_BATCHES = (256, 1)  # tuning takes half a minute for each
COMPILE_SECONDS = 45.0


class Block(nn.Module):
    def __init__(self, width, heads, mlp, quick):
        super().__init__()
        self.heads, self.quick = heads, quick
        self.ln1, self.ln2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.fc1, self.fc2 = nn.Linear(width, mlp), nn.Linear(mlp, width)

    def forward(self, x):
        b, t, c = x.shape
        qkv = self.qkv(self.ln1(x)).view(b, t, 3, self.heads, c // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        x = x + self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, t, c))
        h = self.fc1(self.ln2(x))
        h = h * torch.sigmoid(1.702 * h) if self.quick else F.gelu(h)
        return x + self.fc2(h)


class Tower(nn.Module):
    def __init__(self, width, heads, layers, mlp, embedding, side, patch, quick):
        super().__init__()
        tokens = (side // patch) ** 2 + 1
        self.patches = nn.Conv2d(3, width, patch, patch, bias=False)
        self.class_token = nn.Parameter(torch.randn(width) * 0.02)
        self.positions = nn.Parameter(torch.randn(tokens, width) * 0.02)
        self.ln_pre, self.ln_post = nn.LayerNorm(width), nn.LayerNorm(width)
        self.blocks = nn.ModuleList(Block(width, heads, mlp, quick) for _ in range(layers))
        self.projection = nn.Linear(width, embedding, bias=False)

    def forward(self, pixels):
        x = self.patches(pixels).flatten(2).transpose(1, 2)
        first = self.class_token.expand(x.shape[0], 1, -1)
        x = self.ln_pre(torch.cat([first, x], dim=1) + self.positions)
        for block in self.blocks:
            x = block(x)
        return F.normalize(self.projection(self.ln_post(x[:, 0])).float(), dim=-1)


def median_ms(work, budget_ms=300.0):
    for _ in range(3):
        work()
    torch.cuda.synchronize()
    samples, spent = [], 0.0
    while len(samples) < 5 or (spent < budget_ms and len(samples) < 50):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        work()
        end.record()
        end.synchronize()
        samples.append(start.elapsed_time(end))
        spent += samples[-1]
    return sorted(samples)[len(samples) // 2]


class Report:
    def __init__(self, path):
        self.file = open(path, "a", encoding="utf-8") if path else None
        print("\n| tower | batch | way | turn | ms | images/s |\n|---|--:|---|--:|--:|--:|")

    def row(self, tower, batch, way, turn, ms=None, why=None):
        rate = f"{batch / ms * 1000.0:.4g}" if ms else ""
        print(f"| {tower} | {batch} | {way} | {turn} | {f'{ms:.4g}' if ms else why} | {rate} |",
              flush=True)
        if self.file:
            line = {"op": "tower", "tower": tower, "batch": batch, "way": way, "turn": turn,
                    "dtype": "bf16", "ms": ms, "why": why}
            self.file.write(json.dumps(line) + "\n")
            self.file.flush()


def measure(model, tower, way, turn, pixels, report, deadline, batches):
    for batch in batches:
        if time.monotonic() > deadline:
            report.row(tower, batch, way, turn, why="no time was left")
            continue
        try:
            with torch.inference_mode():
                part = pixels[:batch]
                report.row(tower, batch, way, turn, median_ms(lambda: model(part)))
        except Exception as error:  # a failing peer is a row, not the end
            report.row(tower, batch, way, turn, why=type(error).__name__)


def ours(path, tower, turn, report, deadline):
    """gpu_bench's own rows for one tower, repeated in this table."""
    if path is None:
        return
    try:
        done = subprocess.run([path, "--tower", tower, "towers"], capture_output=True, text=True,
                              timeout=max(5.0, deadline - time.monotonic()), check=False)
    except (subprocess.TimeoutExpired, OSError) as error:
        report.row(tower, 0, "clipcu", turn, why=type(error).__name__)
        return
    found = False
    for line in done.stdout.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if cells[0] == "tower" and len(cells) > 6 and cells[1] == tower:
            try:
                report.row(tower, int(cells[3]), "clipcu", turn, float(cells[6]))
                found = True
            except ValueError:
                report.row(tower, int(cells[3]), "clipcu", turn, why=cells[6])
    if not found:
        report.row(tower, 0, "clipcu", turn, why=f"status {done.returncode}")


def run_tower(name, arguments, report, deadline):
    shape = TOWERS[name]
    model = Tower(*shape).cuda().bfloat16().eval()
    pixels = torch.randn(max(BATCHES), 3, shape[5], shape[5], device="cuda").bfloat16()
    ways = [("PyTorch eager", model, BATCHES, 0.0)]
    if name in arguments.compiled.split(","):
        compiled = torch.compile(model, mode="max-autotune", dynamic=False)
        ways.append(("PyTorch max-autotune", compiled, COMPILED_BATCHES, COMPILE_SECONDS))
    for turn in (1, 2):
        ours(arguments.ours, name, turn, report, deadline)
        for way, callee, batches, reserve in ways:
            measure(callee, name, way, turn, pixels, report,
                    deadline - (reserve if turn == 1 else 0.0), batches)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--ours", help="gpu_bench, measured in turns with PyTorch")
    parser.add_argument("--json", help="appends one line per case")
    parser.add_argument("--seconds", type=float, default=240.0)
    parser.add_argument("--towers", default="B/32,L/14,B/16,H/14,L/14@336")
    parser.add_argument("--compiled", default="B/32,L/14", help="also by torch.compile")
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        print("no CUDA device for PyTorch")
        return 77
    torch.manual_seed(0)
    torch.backends.cuda.matmul.allow_tf32 = False
    deadline = time.monotonic() + arguments.seconds
    print(f"PyTorch {torch.__version__}, {torch.cuda.get_device_name()}, bf16")
    report = Report(arguments.json)
    for name in arguments.towers.split(","):
        if time.monotonic() > deadline:
            report.row(name, 0, "PyTorch", 0, why="no time was left")
            continue
        run_tower(name, arguments, report, deadline)
    return 0


if __name__ == "__main__":
    sys.exit(main())
