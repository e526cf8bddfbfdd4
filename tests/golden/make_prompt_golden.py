#!/usr/bin/env python3
# Makes prompts.golden.safetensors: CoOp and CoCoOp as published, step by step, on the text tower of
# the small model hf_b32.
#
#   python3 tests/golden/make_prompt_golden.py
#
# Needs torch, safetensors, numpy (run with torch 2.15); building and testing clipcu needs none.
# Everything here is written down from the papers: prompts are padded to the whole context (with
# noise, on which nothing may depend), every class goes through the whole tower, context vectors are
# added before the positions, the loss is cross-entropy, torch.optim.SGD descends. It runs in f64;
# what is printed is how far the same program in f32 comes out from it.
#
# For each case C: C.values (.) start and C.learned (.) after all steps: ctx, then the meta-net's
# linear1.weight, .bias, linear2.weight, .bias; C.gradient (.) of the first step; C.rows (K,E) or
# (B,K,E) class rows before it; C.loss (STEPS); x (N,E) unit rows, label (N) and picks (STEPS,B)
# which of them a step sees. Metadata "golden": {"texts": the class names}.
import json
import math
import pathlib

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

import oracle
from make_golden import MERGES

HERE = pathlib.Path(__file__).resolve().parent
NAMES = ["dog", "cat", "dog_house", "kite (bird)", "a big red dog", "the cat's 2 big hats on dogs"]
STEPS, EPOCHS, BATCH, POOL = 50, 10, 5, 20
CASES = {  # position, context vectors, class-specific, conditional
    "end": ("end", 4, False, False),
    "middle": ("middle", 3, False, False),
    "front": ("front", 2, False, False),
    "end_specific": ("end", 4, True, False),
    "middle_specific": ("middle", 5, True, False),
    "front_specific": ("front", 3, True, False),
    "cocoop": ("end", 4, False, True),
}


class Tower:
    """The text tower on (P, T, C) embeddings of whole, padded contexts."""

    def __init__(self, folder, dtype):
        config = json.loads((folder / "config.json").read_text())["text_config"]
        stored = load_file(folder / "model.safetensors")
        self.w = {k: v.to(dtype) for k, v in stored.items() if v.is_floating_point()}
        self.heads, self.layers = config["num_attention_heads"], config["num_hidden_layers"]
        self.table = self.w["text_model.embeddings.token_embedding.weight"]
        self.positions = self.w["text_model.embeddings.position_embedding.weight"]
        self.project = self.w["text_projection.weight"]
        self.scale = self.w["logit_scale"].exp().item()

    def linear(self, x, name):
        return F.linear(x, self.w[name + ".weight"], self.w[name + ".bias"])

    def norm(self, x, name):
        return F.layer_norm(x, x.shape[-1:], self.w[name + ".weight"], self.w[name + ".bias"], 1e-5)

    def attend(self, x, name):
        P, T, C = x.shape
        q, k, v = (self.linear(x, f"{name}.{p}_proj").view(P, T, self.heads, -1).transpose(1, 2)
                   for p in "qkv")
        masked = torch.full((T, T), -math.inf, dtype=x.dtype).triu(1)
        weights = (q @ k.transpose(2, 3) / math.sqrt(C // self.heads) + masked).softmax(-1)
        return self.linear((weights @ v).transpose(1, 2).reshape(P, T, C), f"{name}.out_proj")

    def rows(self, embedded, ends):
        x = embedded + self.positions
        for i in range(self.layers):
            name = f"text_model.encoder.layers.{i}"
            x = x + self.attend(self.norm(x, f"{name}.layer_norm1"), f"{name}.self_attn")
            h = self.linear(self.norm(x, f"{name}.layer_norm2"), f"{name}.mlp.fc1")
            x = x + self.linear(h * torch.sigmoid(1.702 * h), f"{name}.mlp.fc2")
        x = self.norm(x, "text_model.final_layer_norm")
        return F.normalize(x[torch.arange(len(ends)), ends] @ self.project.T, dim=-1)


TOKENIZER = oracle.tokenizer(MERGES, 77)


def tokens(text):
    return TOKENIZER(text)["input_ids"]


class Prompts:
    def __init__(self, tower, position, M):
        self.tower, self.position, self.M = tower, position, M
        names = [n.replace("_", " ") for n in NAMES]
        self.ids, self.lengths = [], [len(tokens(n)) - 2 for n in names]
        for name in names:
            ids = tokens(" ".join(["X"] * M) + " " + name + ".")
            self.ids.append(ids + [0] * (len(tower.positions) - len(ids)))
        self.ids = torch.tensor(self.ids)
        self.ends = self.ids.argmax(-1)
        self.fixed = tower.table[self.ids]
        # Noise in the pads, which nothing of what comes out may depend on.
        pads = torch.arange(self.ids.shape[1])[None] > self.ends[:, None]
        noise = torch.randn(self.fixed.shape, generator=torch.Generator().manual_seed(5))
        self.fixed = torch.where(pads[..., None], noise.to(self.fixed.dtype), self.fixed)

    def __call__(self, ctx):
        """ctx (K, M, C) -> class rows (K, E)"""
        M, rows = self.M, []
        for k, fixed in enumerate(self.fixed):
            start, rest, n = fixed[:1], fixed[1 + M:], self.lengths[k]
            before = {"end": M, "middle": M // 2, "front": 0}[self.position]
            n = len(rest) if self.position == "end" else n
            rows.append(torch.cat([start, ctx[k][:before], rest[:n], ctx[k][before:], rest[n:]]))
        return self.tower.rows(torch.stack(rows), self.ends)


def rate(epoch):
    return 1e-5 if epoch == 1 else 0.001 * (1 + math.cos(math.pi * (epoch - 2) / EPOCHS))


def run(case, start, x, label, picks, dtype):
    position, M, specific, conditional = CASES[case]
    tower = Tower(HERE / "hf_b32", dtype)
    prompts = Prompts(tower, position, M)
    K = len(NAMES)
    values = [v.to(dtype).clone().requires_grad_(True) for v in start]
    x = x.to(dtype)
    descent = torch.optim.SGD(values, lr=1.0, momentum=0.9, weight_decay=5e-4)
    losses, gradient, first = [], None, None
    for step in range(STEPS):
        images, answers = x[picks[step]], label[picks[step]]
        if conditional:
            ctx, w1, b1, w2, b2 = values
            shift = F.linear(F.relu(F.linear(images, w1, b1)), w2, b2)
            rows = torch.stack([prompts((ctx + s).expand(K, -1, -1)) for s in shift])
            logits = tower.scale * torch.einsum("be,bke->bk", images, rows)
        else:
            rows = prompts(values[0] if specific else values[0].expand(K, -1, -1))
            logits = tower.scale * images @ rows.T
        loss = F.cross_entropy(logits, answers)
        for group in descent.param_groups:
            group["lr"] = rate(1 + step * EPOCHS // STEPS)
        descent.zero_grad()
        loss.backward()
        if step == 0:
            gradient, first = [v.grad.clone() for v in values], rows.detach()
        descent.step()
        losses.append(loss.item())
    return flat(values), flat(gradient), first, torch.tensor(losses)


def flat(parts):
    return torch.cat([p.detach().reshape(-1) for p in parts]).double()


def begin(case, width, embed, random):
    _, M, specific, conditional = CASES[case]
    shape = (len(NAMES), M, width) if specific else (M, width)
    start = [0.3 * torch.randn(shape, generator=random)]
    if conditional:
        hidden = embed // 16
        for inputs, shape in ((embed, (hidden, embed)), (embed, (hidden,)),
                              (hidden, (width, hidden)), (hidden, (width,))):
            start.append((2 * torch.rand(shape, generator=random) - 1) / math.sqrt(inputs))
    return start


def main():
    random = torch.Generator().manual_seed(3)
    tower = Tower(HERE / "hf_b32", torch.float64)
    embed, width = tower.project.shape
    x = F.normalize(torch.randn(POOL, embed, generator=random), dim=-1)
    label = torch.randint(len(NAMES), (POOL,), generator=random)
    picks = torch.stack([torch.randperm(POOL, generator=random)[:BATCH] for _ in range(STEPS)])
    out = {"x": x, "label": label.int(), "picks": picks.int()}
    for case in CASES:
        start = begin(case, width, embed, random)
        exact = run(case, start, x, label, picks, torch.float64)
        single = run(case, start, x, label, picks, torch.float32)
        noise = [((a.double() - b.double()).norm() / a.double().norm()).item()
                 for a, b in zip(exact, single)]
        print(f"{case}: loss {exact[3][0]:.4f} to {exact[3][-1]:.4f}; f32 is off by "
              f"{noise[0]:.1e} learned, {noise[1]:.1e} gradient, {noise[2]:.1e} rows, "
              f"{noise[3]:.1e} loss")
        out |= {f"{case}.values": flat(start).float(), f"{case}.learned": exact[0].float(),
                f"{case}.gradient": exact[1].float(), f"{case}.rows": exact[2].float(),
                f"{case}.loss": exact[3].float()}
    out = {k: v.contiguous() for k, v in out.items()}
    note = {"library": f"torch {torch.__version__}", "texts": NAMES}
    save_file(out, HERE / "prompts.golden.safetensors", {"golden": json.dumps(note)})


if __name__ == "__main__":
    main()
