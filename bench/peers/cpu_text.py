#!/usr/bin/env python3
"""A class bank on the CPU, f32: 1000 ImageNet names x 80 templates through the text tower, clipcu
and PyTorch (eager) in one process, in turns, on the same random weights.

    cpu_text.py --library build/libclipcu.so --merges bpe_simple_vocab_16e6.txt.gz [--threads 2]
                [--tower ViT-B/32] [--every 10] [--turns 3] [--batch 80] [--json FILE] [--whole]

clipcu's time is that of clipcu_bank_build: from strings to finished rows, of every N-th name
(--every) in all templates; --whole builds the bank of all names once more at the end and says so.
PyTorch starts from token ids in memory (no tokenizer, no averaging) and gets whole batches, other
ones each turn; its time for all prompts is extrapolated from them:

    padded 77    what CLIP's own zero-shot code does
    longest      padded to the longest prompt of all
    by length    prompts sorted by length, each batch padded to its own longest; a batch of each
                 length class per turn

Fewer names share fewer beginnings, so a part costs clipcu more per prompt than the whole: the token
rows of both are printed. No time counts before the banks of both agree (cosine >= 0.99999)."""
import argparse
import json
import os
import pathlib
import platform
import statistics
import sys
import tempfile
import time

COSINE_LEAST = 0.99999
CONTEXT = 77
AGREE_CLASSES = 2
LENGTH_CLASSES = 8


def prompt_ids(merges, texts):
    """Token ids of each text, start and end included."""
    import oracle

    return oracle.tokenizer(merges, CONTEXT)(list(texts))["input_ids"]


def token_rows(prompts):
    """Rows of a trie of them: distinct beginnings."""
    rows, before = 0, ()
    for ids in sorted(prompts):
        shared = 0
        while shared < min(len(ids), len(before)) and ids[shared] == before[shared]:
            shared += 1
        rows += len(ids) - shared
        before = ids
    return rows


class Peer:
    """PyTorch: unit rows of prompts padded to a length."""

    def __init__(self, model):
        self.model = model

    def encode(self, prompts, length):
        import torch

        ids = torch.full((len(prompts), length), prompts[0][-1], dtype=torch.long)
        for row, prompt in enumerate(prompts):
            ids[row, :len(prompt)] = torch.tensor(prompt)
        with torch.inference_mode():
            pooled = self.model.text_model(input_ids=ids).pooler_output
            rows = self.model.text_projection(pooled)
            return torch.nn.functional.normalize(rows, dim=1).numpy()

    def seconds(self, prompts, length):
        start = time.perf_counter()
        self.encode(prompts, length)
        return time.perf_counter() - start


def batches_of(prompts, size):
    """Whole batches only."""
    return [prompts[at:at + size] for at in range(0, len(prompts) - size + 1, size)]


def check(engine, peer, labels, templates, prompts, width):
    """Least cosine of the two banks of the first labels."""
    import numpy as np
    from cpu_shared import least_cosine

    count = len(templates)
    rows = [peer.encode(prompts[k * count:(k + 1) * count], CONTEXT).mean(0)
            for k in range(len(labels))]
    return least_cosine(engine.bank(labels, templates, width), np.stack(rows))


def measure(engine, peer, names, templates, prompts, arguments, width):
    """{way: [seconds per prompt]}, of one turn each."""
    size = arguments.batch
    longest = max(len(ids) for ids in prompts)
    whole = batches_of(prompts, size)
    by_length = batches_of(sorted(prompts, key=len), size)
    step = max(1, len(by_length) // LENGTH_CLASSES)
    samples = {"clipcu": [], "padded 77": [], "longest": [], "by length": []}
    count = len(names) * len(templates)
    peer.encode(whole[0], longest)  # warms up
    for turn in range(arguments.turns):
        start = time.perf_counter()
        engine.bank(names, templates, width)
        samples["clipcu"].append((time.perf_counter() - start) / count)
        batch = whole[turn * len(whole) // arguments.turns]
        samples["padded 77"].append(peer.seconds(batch, CONTEXT) / size)
        samples["longest"].append(peer.seconds(batch, longest) / size)
        some = by_length[turn % step::step]
        spent = sum(peer.seconds(batch, len(batch[-1])) for batch in some)
        samples["by length"].append(spent / (size * len(some)))
    return samples


def report(samples, count, arguments):
    ours = statistics.median(samples["clipcu"])
    print(f"\n| way | prompts/s | {count} prompts, s | least .. most | clipcu is |\n"
          "|---|--:|--:|--:|--:|")
    for way, values in samples.items():
        middle = statistics.median(values)
        print(f"| {way} | {1.0 / middle:.1f} | {count * middle:.1f} | {count * min(values):.1f} .. "
              f"{count * max(values):.1f} | {middle / ours:.2f} x |", flush=True)
        if arguments.json:
            line = {"op": "cpu_text", "tower": arguments.tower, "way": way, "prompts": count,
                    "seconds": count * middle, "turns": len(values), "ratio": middle / ours}
            with open(arguments.json, "a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")


def run(directory, arguments):
    from cpu_shared import ROOT, Engine, make_model
    from make_reference import read_merges

    path = ROOT / "tests" / "data" / "text" / "imagenet_classnames.txt"
    everything = path.read_text(encoding="utf-8").splitlines()
    names = everything[::arguments.every]
    model, spec = make_model(arguments.tower, directory, arguments.merges)
    engine = Engine(arguments.library, directory, arguments.threads)
    templates = engine.templates("openai80")
    merges = read_merges(arguments.merges)
    fill = lambda labels: [t.replace("{}", label) for label in labels for t in templates]
    all_prompts = prompt_ids(merges, fill(everything))
    prompts = prompt_ids(merges, fill(names))
    for what, some in (("measured", prompts), ("the whole", all_prompts)):
        rows = token_rows(some)
        print(f"{what}: {len(some)} prompts, {rows / len(some):.2f} token rows each instead of "
              f"{CONTEXT}; longest {max(len(ids) for ids in some)} tokens")
    peer = Peer(model)
    cosine = check(engine, peer, names[:AGREE_CLASSES], templates, prompts, spec["embed"])
    if not cosine >= COSINE_LEAST:
        print(f"the banks disagree: cosine {cosine:.6f}")
        return 1
    samples = measure(engine, peer, names, templates, prompts, arguments, spec["embed"])
    report(samples, len(prompts), arguments)
    if arguments.whole:
        start = time.perf_counter()
        engine.bank(everything, templates, spec["embed"])
        spent = time.perf_counter() - start
        padded = statistics.median(samples["padded 77"]) * len(all_prompts)
        print(f"\nall {len(all_prompts)} prompts: clipcu {spent:.1f} s, PyTorch padded to 77 "
              f"{padded:.0f} s (extrapolated), ratio {padded / spent:.2f}")
    engine.close()
    return 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--library", required=True, help="libclipcu.so")
    parser.add_argument("--merges", required=True, help="CLIP's merges, .txt or .txt.gz")
    parser.add_argument("--threads", type=int, default=2, help="of both")
    parser.add_argument("--tower", default="ViT-B/32")
    parser.add_argument("--every", type=int, default=10, help="of the names every N-th")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--batch", type=int, default=80, help="PyTorch's prompts per call")
    parser.add_argument("--whole", action="store_true", help="the bank of all names once, too")
    parser.add_argument("--json", help="appends one line per row")
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(arguments.threads)  # before anybody's OpenMP starts
    try:
        import torch
    except ImportError:
        print("no PyTorch here: nothing to compare with")
        return 77
    torch.set_num_threads(arguments.threads)
    print(f"{platform.machine()}, {torch.backends.cpu.get_cpu_capability()}, "
          f"{arguments.threads} threads; torch {torch.__version__}; {arguments.tower}\n")
    with tempfile.TemporaryDirectory() as directory:
        return run(pathlib.Path(directory), arguments)


if __name__ == "__main__":
    sys.exit(main())
