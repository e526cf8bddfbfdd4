# What the golden files and the parity run share: random weights of realistic scale, structured
# pictures, a CLIP tokenizer as files, and the hidden states of transformers and open_clip.
#
# Needs torch, transformers (5), open_clip_torch (3), safetensors, Pillow, numpy.

import json
import math

import numpy as np
import torch

START, END = "<|startoftext|>", "<|endoftext|>"


# ---- Weights --------------------------------------------------------------------------------


def _is_norm(name):
    return any(part in name for part in ("layer_norm", "layernorm", "layrnorm", "ln_"))


def _std(name, shape, layers):
    """Standard deviation that keeps activations near 1, as trained towers have them."""
    if name.endswith(("class_embedding", "positional_embedding", "position_embedding.weight")):
        return 0.3
    if name.endswith("token_embedding.weight"):
        return 0.6
    if name in ("visual.proj", "text_projection"):  # open_clip: x . P, so rows are inputs
        return shape[0] ** -0.5
    fan_in = math.prod(shape[1:])
    if name.endswith(("out_proj.weight", "fc2.weight", "c_proj.weight")):  # into the residual
        return (2 * layers * fan_in) ** -0.5
    if "q_proj" in name or "k_proj" in name or "in_proj" in name:  # attention that is not flat
        return 1.3 * fan_in**-0.5
    return fan_in**-0.5


@torch.no_grad()
def randomise(model, seed, layers, logit_scale):
    """Fills every parameter: no bias is zero and no LayerNorm is the identity, so that each of
    them shows in the result. Drawn in name order: the numbers do not depend on how a library
    happens to build its modules."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in sorted(model.named_parameters()):
        shape = tuple(parameter.shape)
        if name == "logit_scale":
            parameter.fill_(logit_scale)
        elif _is_norm(name) and name.endswith("weight"):
            parameter.uniform_(0.6, 1.4, generator=generator)
        elif name.endswith("bias"):
            parameter.normal_(0.0, 0.2 if _is_norm(name) else 0.15, generator=generator)
        else:
            parameter.normal_(0.0, _std(name, shape, layers), generator=generator)


# ---- Pictures -------------------------------------------------------------------------------


def picture(seed, width, height):
    """(height, width, 3) u8: gradients, blocks and noise, so that neither smooth areas nor hard
    edges nor the ends of the range are missing."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    out = np.empty((height, width, 3))
    for c in range(3):
        waves = rng.uniform(0.02, 0.25, 2) * rng.choice([-1, 1], 2)
        out[..., c] = 128 + 90 * np.sin(waves[0] * x + waves[1] * y + rng.uniform(0, 6.3))
    for _ in range(6):
        left, top = rng.integers(0, width), rng.integers(0, height)
        w, h = rng.integers(2, max(3, width // 2)), rng.integers(2, max(3, height // 2))
        out[top : top + h, left : left + w] = rng.choice([0, 60, 200, 255], 3)
    out += rng.normal(0, 14, out.shape)
    return np.clip(np.rint(out), 0, 255).astype(np.uint8)


# ---- Tokenizer ------------------------------------------------------------------------------


def byte_alphabet():
    """CLIP's printable stand-in of every byte, in the order of the ids."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [b for b in range(256) if b not in printable]
    return [chr(b) for b in printable] + [chr(256 + i) for i in range(len(others))]


def train_merges(words, count):
    """Byte pair encoding learnt from ASCII words; ties go to the smaller pair."""
    pieces = [list(word[:-1]) + [word[-1] + "</w>"] for word in words]
    merges = []
    while len(merges) < count:
        tally = {}
        for piece in pieces:
            for pair in zip(piece, piece[1:]):
                tally[pair] = tally.get(pair, 0) + 1
        if not tally:
            break
        best = min(tally, key=lambda pair: (-tally[pair], pair))
        merges.append(best)
        for index, piece in enumerate(pieces):
            pieces[index] = _merge(piece, best)
    return merges


def _merge(piece, pair):
    out, i = [], 0
    while i < len(piece):
        if tuple(piece[i : i + 2]) == pair:
            out.append(piece[i] + piece[i + 1])
            i += 2
        else:
            out.append(piece[i])
            i += 1
    return out


def vocabulary(merges):
    alphabet = byte_alphabet()
    tokens = alphabet + [c + "</w>" for c in alphabet] + ["".join(pair) for pair in merges]
    return {token: index for index, token in enumerate(tokens + [START, END])}


def write_tokenizer(directory, merges):
    """vocab.json and merges.txt as Hugging Face has them."""
    vocab = json.dumps(vocabulary(merges), ensure_ascii=False, separators=(",", ":"))
    (directory / "vocab.json").write_text(vocab + "\n", encoding="utf-8")
    lines = ["#version: 0.2", *(" ".join(pair) for pair in merges)]
    (directory / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def tokenizer(merges, context):
    from transformers import CLIPTokenizer

    out = CLIPTokenizer(vocab=vocabulary(merges), merges=list(merges), model_max_length=context)
    return out


# ---- Hidden states --------------------------------------------------------------------------


class Capture:
    """Collects what modules put out (or take in) during one forward pass."""

    def __init__(self):
        self.states = {}
        self.handles = []

    def output(self, name, module):
        def hook(_module, _inputs, result):
            state = result[0] if isinstance(result, tuple) else result
            self.states[name] = state.detach().clone()

        self.handles.append(module.register_forward_hook(hook))

    def close(self):
        for handle in self.handles:
            handle.remove()


def _hf_towers(model):
    """Layers, norms and projection of both towers of a transformers model, None where absent."""
    image = getattr(model, "vision_model", None)
    text = getattr(model, "text_model", None)
    towers = {}
    if image is not None:
        towers["image"] = (image.pre_layrnorm, image.encoder.layers, image.post_layernorm,
                           model.visual_projection)
    if text is not None:
        towers["text"] = (text.embeddings, text.encoder.layers, text.final_layer_norm,
                          model.text_projection)
    return towers


@torch.no_grad()
def hf_states(model, kind, inputs):
    """{"layer.00": after embeddings (and ln_pre), "layer.NN": after block NN, "norm": what the last
    LayerNorm put out, "projected"} of one tower of a transformers model."""
    first, layers, norm, projection = _hf_towers(model)[kind]
    capture = Capture()
    capture.output("layer.00", first)
    for index, layer in enumerate(layers):
        capture.output(f"layer.{index + 1:02d}", layer)
    capture.output("norm", norm)
    capture.output("projected", projection)
    tower = model.vision_model if kind == "image" else model.text_model
    projection(tower(inputs).pooler_output)
    capture.close()
    return capture.states


@torch.no_grad()
def open_clip_states(model, kind, inputs):
    """The same of an open_clip model."""
    capture = Capture()
    if kind == "image":
        tower = model.visual
        capture.output("layer.00", tower.ln_pre)
        capture.output("norm", tower.ln_post)
        blocks = tower.transformer.resblocks
    else:
        capture.output("norm", model.ln_final)
        blocks = model.transformer.resblocks
        tokens = model.token_embedding(inputs) + model.positional_embedding[: inputs.shape[1]]
        capture.states["layer.00"] = tokens
    for index, block in enumerate(blocks):
        capture.output(f"layer.{index + 1:02d}", block)
    encode = model.encode_image if kind == "image" else model.encode_text
    capture.states["projected"] = encode(inputs, normalize=False)
    capture.close()
    return capture.states
