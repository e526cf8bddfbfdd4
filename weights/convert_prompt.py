#!/usr/bin/env python3
"""A prompt learned by the original CoOp or CoCoOp code, as clipcu reads it.

    convert_prompt.py prompt_learner/model.pth.tar-50 --model clip-b16 --labels names.txt \\
                      -o prompt.safetensors [--position end|middle|front] [--clipcu build/clipcu]

Keeps ctx and, for CoCoOp, meta_net.*; drops token_prefix and token_suffix, which belong to the
classes of that training. --labels: those classes, one per line, in their order. The checkpoint does
not say where the class name stands: --position does (end, as most were published). --model is
opened by clipcu to learn widths and fingerprint. Needs torch and safetensors.

The file is a pickle that also holds live optimizer objects. Nothing of it is run: whatever is no
tensor, number or container is read as an empty object."""
import argparse
import json
import pickle
import subprocess
import sys
import types

ALLOWED = {("collections", "OrderedDict"), ("torch._utils", "_rebuild_tensor_v2"),
           ("torch._utils", "_rebuild_parameter"), ("torch", "FloatStorage"),
           ("torch", "HalfStorage"), ("torch", "BFloat16Storage"), ("torch", "LongStorage"),
           ("torch", "IntStorage"), ("torch", "DoubleStorage")}
DROPPED = ("token_prefix", "token_suffix")
META_NET = ("meta_net.linear1.weight", "meta_net.linear1.bias", "meta_net.linear2.weight",
            "meta_net.linear2.bias")


class Opaque:
    """Stands for any object that is not wanted."""

    def __init__(self, *_, **__):
        pass

    def __setstate__(self, _):
        pass

    def __call__(self, *_, **__):
        return Opaque()

    def __setitem__(self, *_):
        pass

    def append(self, _):
        pass

    def extend(self, _):
        pass


class Unpickler(pickle.Unpickler):
    def find_class(self, module, name):
        return super().find_class(module, name) if (module, name) in ALLOWED else Opaque


def read_state(path):
    import torch

    inert = types.ModuleType("inert_pickle")
    inert.Unpickler, inert.load = Unpickler, lambda file, **_: Unpickler(file).load()
    loaded = torch.load(path, map_location="cpu", pickle_module=inert, weights_only=False)
    state = loaded.get("state_dict", loaded) if isinstance(loaded, dict) else {}
    if not isinstance(state, dict) or "ctx" not in {k.removeprefix("module.") for k in state}:
        raise ValueError(f"{path}: no prompt learner's checkpoint: there is no tensor ctx")
    return {k.removeprefix("module."): v for k, v in state.items()}, loaded.get("epoch", 0)


def check(state, labels, info):
    """What the shapes have to be. -> class_specific"""
    ctx, width, embed = state["ctx"], info["text_width"], info["embed_dim"]
    if ctx.ndim not in (2, 3) or ctx.shape[-1] != width:
        raise ValueError(f"ctx is {tuple(ctx.shape)}: expected (vectors, {width}) or (classes, "
                         f"vectors, {width}), as the model's text tower has it")
    if ctx.ndim == 3 and ctx.shape[0] != len(labels):
        raise ValueError(f"ctx is class-specific for {ctx.shape[0]} classes, --labels has "
                         f"{len(labels)}")
    hidden = embed // 16
    shapes = dict(zip(META_NET, ((hidden, embed), (hidden,), (width, hidden), (width,))))
    for name, shape in shapes.items():
        if META_NET[0] in state and tuple(state.get(name, ctx).shape) != shape:
            raise ValueError(f"{name}: expected {shape} for embeddings of {embed}")
    unknown = set(state) - {"ctx"} - set(META_NET) - set(DROPPED)
    if unknown:
        raise ValueError(f"unknown tensors: {', '.join(sorted(unknown))}")
    return ctx.ndim == 3


def convert(arguments):
    from safetensors.torch import save_file

    with open(arguments.labels, encoding="utf-8") as file:
        labels = [line.strip() for line in file if line.strip()]
    out = subprocess.run([arguments.clipcu, "info", "--format", "json", "--model",
                          arguments.model], check=True, capture_output=True, text=True).stdout
    info = json.loads(out)
    state, epoch = read_state(arguments.checkpoint)
    specific = check(state, labels, info)
    conditional = META_NET[0] in state
    if conditional and (specific or arguments.position != "end"):
        raise ValueError("CoCoOp's vectors are shared and stand before the name")
    kept = {k: v.detach().float().contiguous() for k, v in state.items() if k not in DROPPED}
    metadata = {"format": "clipcu-prompt-1", "method": "cocoop" if conditional else "coop",
                "position": arguments.position, "class_specific": str(specific).lower(),
                "embed_dim": str(info["embed_dim"]),
                "epoch": str(epoch if isinstance(epoch, int) else 0),
                "fingerprint": info["fingerprint"], "labels": json.dumps(labels)}
    save_file(kept, arguments.output, metadata)
    print(f"{arguments.output}: {metadata['method']}, "
          f"ctx {tuple(kept['ctx'].shape)}, {len(labels)} classes")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("checkpoint")
    parser.add_argument("--model", required=True)
    parser.add_argument("--labels", required=True)
    parser.add_argument("-o", "--output", required=True)
    parser.add_argument("--position", choices=("end", "middle", "front"), default="end")
    parser.add_argument("--clipcu", default="clipcu")
    try:
        convert(parser.parse_args())
    except (OSError, ValueError, subprocess.CalledProcessError, pickle.UnpicklingError) as error:
        print(f"convert_prompt: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
