#!/usr/bin/env python3
"""A step of CoOp and of CoCoOp on the CPU, f32: 1000 ImageNet names, 4 context vectors, text tower
of ViT-B/16 (12 x 512) with random weights; clipcu and PyTorch (eager, SDPA) in turns.

    cpu_prompt.py --library build/libclipcu.so --merges bpe_simple_vocab_16e6.txt.gz [--threads 2]
                  [--tower ViT-B/16] [--sample 40] [--turns 3] [--json FILE]

clipcu: clipcu_learner_step, that is all classes forward, loss of 32 pictures (CoCoOp: of one),
backward, descent; its activations may take 0.6 GB. PyTorch does what the published code does, every
class padded to 77 tokens, forward and backward to the context vectors, for --sample classes at a
time: all at once would take more memory than such machines have. Its time is extrapolated to all
classes; a CoCoOp picture costs it the same as a CoOp step. No time counts before class rows of both
agree (cosine >= 0.99999)."""
import argparse
import ctypes
import json
import math
import os
import pathlib
import platform
import resource
import statistics
import sys
import tempfile
import time

COSINE_LEAST = 0.99999
CONTEXT, VECTORS = 77, 4
COOP, COCOOP = 0, 1
MEMORY_MAX = 600_000_000


class LearnOptions(ctypes.Structure):
    """clipcu_learn_options of include/clipcu.h."""
    _fields_ = [("method", ctypes.c_int), ("position", ctypes.c_int),
                ("class_specific", ctypes.c_int32), ("context_count", ctypes.c_int32),
                ("init", ctypes.c_char_p), ("seed", ctypes.c_uint64),
                ("batch_max", ctypes.c_int32), ("momentum", ctypes.c_float),
                ("weight_decay", ctypes.c_float), ("memory_max", ctypes.c_size_t)]


class Learner:
    def __init__(self, engine, names, method, batch, width):
        import numpy as np
        from cpu_shared import strings

        self.engine, self.lib, self.batch = engine, engine.lib, batch
        self.lib.clipcu_learn_options_default.restype = LearnOptions
        self.lib.clipcu_learner_prompt.restype = ctypes.c_void_p
        self.names = strings(names)
        options = self.lib.clipcu_learn_options_default()
        options.method, options.context_count = method, VECTORS
        options.batch_max, options.memory_max = batch, MEMORY_MAX
        self.handle = ctypes.c_void_p()
        engine.call("clipcu_learner_open", engine.handle, ctypes.byref(options), self.names,
                    ctypes.c_int32(len(names)), ctypes.byref(self.handle))
        random = np.random.default_rng(5)
        self.x = random.standard_normal((batch, width)).astype(np.float32)
        self.x /= np.linalg.norm(self.x, axis=1, keepdims=True)
        self.label = random.integers(0, len(names), batch).astype(np.int32)

    def seconds(self):
        loss, correct = ctypes.c_double(), ctypes.c_int32()
        start = time.perf_counter()
        self.engine.call("clipcu_learner_step", self.handle, ctypes.c_void_p(self.x.ctypes.data),
                         ctypes.c_void_p(self.label.ctypes.data), ctypes.c_int32(self.batch),
                         ctypes.c_float(1e-5), ctypes.byref(loss), ctypes.byref(correct))
        return time.perf_counter() - start

    def save(self, path):
        prompt = ctypes.c_void_p(self.lib.clipcu_learner_prompt(self.handle, ctypes.c_int32(0)))
        self.engine.call("clipcu_prompt_save", prompt, str(path).encode())

    def close(self):
        self.lib.clipcu_learner_close(self.handle)


class Peer:
    """The text tower on whole contexts, in the fastest operators that eager PyTorch has."""

    def __init__(self, model):
        self.model = model

    def rows(self, context, ids):
        """context (M, C) -> unit rows of prompts ids (P, 77) whose tokens 1 .. M it replaces"""
        import torch
        import torch.nn.functional as F

        text = self.model.text_model
        with torch.no_grad():
            fixed = text.embeddings.token_embedding(ids)
        shared = context.expand(len(ids), -1, -1)
        x = torch.cat([fixed[:, :1], shared, fixed[:, 1 + VECTORS:]], 1)
        x = x + text.embeddings.position_embedding.weight
        P, T, C = x.shape
        for layer in text.encoder.layers:
            a, h = layer.self_attn, layer.layer_norm1(x)
            q, k, v = (f(h).view(P, T, a.num_heads, -1).transpose(1, 2)
                       for f in (a.q_proj, a.k_proj, a.v_proj))
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + a.out_proj(y.transpose(1, 2).reshape(P, T, C))
            x = x + layer.mlp(layer.layer_norm2(x))
        pooled = text.final_layer_norm(x[torch.arange(P), ids.argmax(-1)])
        return F.normalize(self.model.text_projection(pooled), dim=-1)

    def seconds(self, context, ids, upstream):
        """Forward and backward to the context vectors."""
        start = time.perf_counter()
        context.grad = None
        (self.rows(context, ids) * upstream).sum().backward()
        return time.perf_counter() - start


def padded(merges, names):
    import torch
    from cpu_text import prompt_ids

    texts = [" ".join(["X"] * VECTORS) + f" {name}." for name in names]
    out = torch.zeros((len(names), CONTEXT), dtype=torch.long)
    for row, ids in enumerate(prompt_ids(merges, texts)):
        out[row, :len(ids)] = torch.tensor(ids)
    return out


def check(engine, learner, peer, names, ids, width, directory):
    """Least cosine of class rows in the learner's start values."""
    import numpy as np
    import torch
    from cpu_shared import least_cosine, strings
    from safetensors.torch import load_file

    path, prompt, bank = directory / "p.safetensors", ctypes.c_void_p(), ctypes.c_void_p()
    learner.save(path)
    engine.call("clipcu_prompt_load", str(path).encode(), ctypes.byref(prompt))
    engine.call("clipcu_bank_build_prompt", engine.handle, prompt, strings(names),
                ctypes.c_int32(len(names)), ctypes.byref(bank))
    ours = np.ctypeslib.as_array(engine.lib.clipcu_bank_rows(bank), (len(names), width)).copy()
    engine.lib.clipcu_bank_close(bank)
    engine.lib.clipcu_prompt_close(prompt)
    with torch.no_grad():
        theirs = peer.rows(load_file(path)["ctx"], ids).numpy()
    return least_cosine(ours, theirs)


def report(samples, arguments):
    peer = statistics.median(samples["PyTorch, padded 77"])
    print("\n| | seconds | least .. most | PyTorch takes |\n|---|--:|--:|--:|")
    for what, values in samples.items():
        middle = statistics.median(values)
        print(f"| {what} | {middle:.2f} | {min(values):.2f} .. {max(values):.2f} | "
              f"{peer / middle:.1f} x |", flush=True)
        if arguments.json:
            line = {"op": "cpu_prompt", "tower": arguments.tower, "what": what, "seconds": middle,
                    "turns": len(values), "ratio": peer / middle}
            with open(arguments.json, "a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")


def run(directory, arguments):
    import torch
    from cpu_shared import ROOT, Engine, make_model
    from make_reference import read_merges

    path = ROOT / "tests" / "data" / "text" / "imagenet_classnames.txt"
    names = path.read_text(encoding="utf-8").splitlines()
    model, spec = make_model(arguments.tower, directory, arguments.merges)
    model.requires_grad_(False)
    peer, width = Peer(model), spec["embed"]
    ids = padded(read_merges(arguments.merges), names)
    engine = Engine(arguments.library, directory, arguments.threads)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    coop = Learner(engine, names, COOP, 32, width)
    coop.seconds()
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1e6
    print(f"one CoOp learner and a step: the process grew by {grown:.2f} GB, transposed weights "
          f"and everything; activations may take {MEMORY_MAX / 1e9:.1f} GB")
    cosine = check(engine, coop, peer, names[:8], ids[:8], width, directory)
    if not cosine >= COSINE_LEAST:
        print(f"class rows disagree: cosine {cosine:.6f}")
        return 1
    cocoop = Learner(engine, names, COCOOP, 1, width)
    context = (0.02 * torch.randn(VECTORS, spec["text"][0])).requires_grad_(True)
    upstream = torch.randn(arguments.sample, width) / math.sqrt(width)
    samples = {"CoOp step of 32 pictures": [], "CoCoOp picture": [], "PyTorch, padded 77": []}
    peer.seconds(context, ids[:2], upstream[:2])  # warms up
    for turn in range(arguments.turns):
        samples["CoOp step of 32 pictures"].append(coop.seconds())
        samples["CoCoOp picture"].append(cocoop.seconds())
        at = turn * arguments.sample
        spent = peer.seconds(context, ids[at:at + arguments.sample], upstream)
        samples["PyTorch, padded 77"].append(spent / arguments.sample * len(names))
    report(samples, arguments)
    coop.close()
    cocoop.close()
    engine.close()
    return 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--library", required=True, help="libclipcu.so")
    parser.add_argument("--merges", required=True, help="CLIP's merges, .txt or .txt.gz")
    parser.add_argument("--threads", type=int, default=2, help="of both")
    parser.add_argument("--tower", default="ViT-B/16")
    parser.add_argument("--sample", type=int, default=40, help="PyTorch's classes at a time")
    parser.add_argument("--turns", type=int, default=3)
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
