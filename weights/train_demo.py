#!/usr/bin/env python3
"""Trains the demo model of weights/demo from Debian packages, on a CPU, and measures it.

  apt install fonts-noto-color-emoji fonts-symbola unicode-cldr-core libraqm0
  pip install torch transformers tokenizers safetensors pillow regex
  python train_demo.py --minutes 82 --out demo     train and export
  python train_demo.py --eval demo                 the accuracy table, through transformers

Nobody needs this to use the model: it shows how the files came to be. Pictures, names and
captions are in demo_data.py, the vocabulary in demo_tokenizer.py, the network in demo_model.py,
the picture distortions in demo_augment.py, the measurements in demo_eval.py.
"""
import argparse
import json
import math
import os
import random
import time

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer

from demo_augment import Augmenter
from demo_data import TEMPLATES, caption, load_emoji, read_annotations
from demo_model import DemoClip, SIZE, export
from demo_tokenizer import END, train_merges, write_tokenizer

MERGES = 2000
WARMUP = 0.04               # share of the time budget
TONED_SHARE = 0.6           # skin tone variants are half of all emoji: see fewer of them


def corpus(items):
    texts = [text for item in items for text in (item["name"], item["cldr"])]
    for entry in read_annotations().values():
        texts += [entry["name"], *entry["keywords"]]
    return texts + [t.format("") for t in TEMPLATES] * 100


def epoch_batches(rng, items, batch):
    """Index lists without repetition, so that no emoji is its own negative."""
    chosen = [i for i, item in enumerate(items)
              if item["base"] == item["name"] or rng.random() < TONED_SHARE]
    rng.shuffle(chosen)
    return [chosen[i:i + batch] for i in range(0, len(chosen) - batch + 1, batch)]


class Captioner:
    def __init__(self, folder, rng, items):
        self.tokenizer = Tokenizer.from_file(os.path.join(folder, "tokenizer.json"))
        self.end = self.tokenizer.token_to_id(END)
        self.rng, self.items = rng, items
        bases = {}
        self.base = torch.tensor([bases.setdefault(i["base"], len(bases)) for i in items])

    def batch(self, indices, sketch):
        """-> ids, lengths, and the (picture, text) pairs that are no negatives: a text without
        the skin tone is also true of the same emoji in another tone."""
        pairs = [caption(self.rng, self.items[i], s) for i, s in zip(indices, sketch)]
        encoded = [e.ids for e in self.tokenizer.encode_batch([text for text, _ in pairs])]
        encoded = [e if len(e) <= SIZE["context"] else e[:SIZE["context"] - 1] + [self.end]
                   for e in encoded]
        lengths = torch.tensor([len(e) for e in encoded])
        ids = torch.tensor([e + [self.end] * (int(lengths.max()) - len(e)) for e in encoded])
        base, level = self.base[indices], torch.tensor([level for _, level in pairs])
        sketch = torch.tensor(sketch)
        # A sketch has lost its colours, so it matches every tone of its base as well.
        same = (base[:, None] == base[None]) & ((level == 1)[None] | sketch[:, None])
        same.fill_diagonal_(False)
        return ids, lengths, same


def contrastive_loss(model, image, text, same):
    logits = model.logit_scale.exp() * image @ text.T
    logits = logits.masked_fill(same, -1e4)
    target = torch.arange(len(image))
    hits = (logits.argmax(1) == target).float().mean()
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2, hits


def learning_rate(peak, done):
    """done: share of the wall-clock budget that is used up."""
    if done < WARMUP:
        return peak * (done / WARMUP + 0.01)
    return peak * (0.5 + 0.5 * math.cos(math.pi * (done - WARMUP) / (1 - WARMUP))) + peak * 0.002


def make_optimizer(model):
    decay = [p for p in model.parameters() if p.ndim >= 2]
    rest = [p for p in model.parameters() if p.ndim < 2]
    return torch.optim.AdamW([{"params": decay, "weight_decay": 0.1},
                              {"params": rest, "weight_decay": 0.0}],
                             betas=(0.9, 0.98), eps=1e-8)


class Run:
    """One training run: its state, its log, its checkpoints."""

    def __init__(self, args):
        self.args, self.rng = args, random.Random(args.seed)
        torch.manual_seed(args.seed)
        np.random.seed(args.seed)
        torch.set_num_threads(args.threads)
        os.makedirs(args.out, exist_ok=True)
        items = load_emoji()
        merges = train_merges(corpus(items), MERGES)
        self.vocab = write_tokenizer(args.out, merges, SIZE["context"])
        self.items = [item for item in items if not item["held_out"]]
        self.captioner = Captioner(args.out, self.rng, self.items)
        self.augmenter = Augmenter([i["picture"] for i in self.items], self.rng)
        self.model = DemoClip(len(self.vocab))
        self.optimizer = make_optimizer(self.model)
        self.used, self.step, self.seen, self.epoch = 0.0, 0, 0, 0
        self.log_path = os.path.join(args.out, "training_log.jsonl")
        if args.resume and os.path.exists(args.checkpoint):
            self.load()
        else:
            open(self.log_path, "w").close()

    def load(self):
        state = torch.load(self.args.checkpoint, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.used, self.step, self.seen, self.epoch = state["progress"]

    def save(self):
        torch.save({"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(),
                    "progress": (self.used, self.step, self.seen, self.epoch)},
                   self.args.checkpoint + ".part")
        os.replace(self.args.checkpoint + ".part", self.args.checkpoint)
        export(self.model, self.args.out, self.vocab)

    def log(self, losses, hits, began):
        line = {"minutes": round(self.used / 60, 1), "step": self.step, "epoch": self.epoch,
                "pictures": self.seen, "loss": round(sum(losses) / len(losses), 4),
                "batch_top1": round(sum(hits) / len(hits), 4),
                "logit_scale": round(self.model.logit_scale.exp().item(), 2),
                "pictures_per_s": round(len(losses) * self.args.batch / began, 1)}
        with open(self.log_path, "a") as file:
            file.write(json.dumps(line) + "\n")
        print(line, flush=True)

    def train_step(self, indices, done):
        full = done > self.args.full_after
        pixels, sketch = self.augmenter.batch(indices)
        ids, lengths, same = self.captioner.batch(indices, sketch)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.args.lr, done)
        image = self.model.encode_image(pixels, 1.0 if full else self.args.keep)
        text = self.model.encode_text(ids, lengths)
        loss, hits = contrastive_loss(self.model, image, text, same)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.model.logit_scale.data.clamp_(0, math.log(100))
        return loss.item(), hits.item()

    def train(self):
        budget, losses, hits, logged, saved = self.args.minutes * 60, [], [], self.used, self.used
        while self.used < budget:
            for indices in epoch_batches(self.rng, self.items, self.args.batch):
                start = time.monotonic()
                loss, hit = self.train_step(indices, self.used / budget)
                losses.append(loss)
                hits.append(hit)
                self.step, self.seen = self.step + 1, self.seen + len(indices)
                self.used += time.monotonic() - start
                if self.used - logged > self.args.log_s:
                    self.log(losses, hits, self.used - logged)
                    losses, hits, logged = [], [], self.used
                if self.used - saved > self.args.save_s or self.used >= budget:
                    self.save()
                    saved = self.used
                if self.used >= budget:
                    break
            self.epoch += 1
        if losses:
            self.log(losses, hits, max(self.used - logged, 1e-3))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default="demo", help="folder to export to")
    parser.add_argument("--minutes", type=float, default=82, help="training time")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--lr", type=float, default=8e-4)
    parser.add_argument("--keep", type=float, default=0.5,
                        help="share of the patches seen before --full-after")
    parser.add_argument("--full-after", type=float, default=0.87,
                        help="share of the time after which all patches are seen")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--checkpoint", default="/tmp/demo_checkpoint.pt")
    parser.add_argument("--resume", action="store_true", help="go on from --checkpoint")
    parser.add_argument("--log-s", type=float, default=60)
    parser.add_argument("--save-s", type=float, default=300)
    parser.add_argument("--eval", metavar="FOLDER", help="measure an exported model instead")
    args = parser.parse_args()
    if args.eval:
        from demo_eval import evaluate
        evaluate(args.eval)
    else:
        Run(args).train()


if __name__ == "__main__":
    main()
