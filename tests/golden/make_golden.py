#!/usr/bin/env python3
# Makes the small random models of this folder and, beside each, <model>.golden.safetensors: what
# transformers or open_clip computes with it, layer by layer.
#
#   python3 tests/golden/make_golden.py            rewrites every model and golden file
#   python3 tests/golden/make_golden.py NAME...    only these
#
# Needs torch, transformers 5, open_clip_torch 3, safetensors, Pillow, numpy (run with torch 2.15,
# transformers 5.23, open_clip_torch 3.3). Neither building nor testing clipcu needs any of them.
# Everything comes from fixed seeds. The libraries run in f64 with the weights as stored and their
# results are rounded to f32, because f32 runs of the same program differ in their last bits. The
# f32 run (attn_implementation "eager") is made too: what is printed as noise is its distance from
# the f64 one, the price of f32 itself.
#
# Tensors of a golden file (B pictures, rows of all texts packed one after another):
#   pixels (B,S,S,3) u8             source (H,W,3) u8: pixels[0] is its resize and crop
#   pixels_f32 (B,3,S,S)            normalised by the library's own processor; one model only
#   image.layer.00 (B,N,C)          after the embeddings and ln_pre; .01 ... after each block
#   image.norm (B,C)                class token after ln_post; then image.projected, image.unit
#   ids (rows) i32, first (P+1) i32 tokens of the texts, start and end included
#   text.layer.00 (rows,C) ...      as above; text.norm (P,C) at the end token; projected, unit
#   logit_scale (1), logits (B,P)
# and as metadata, under the key golden, a JSON object: library, texts.

import copy
import json
import pathlib
import shutil
import sys

import numpy as np
import open_clip
import torch
import transformers
from PIL import Image
from safetensors.torch import load_file, save_file

import oracle

HERE = pathlib.Path(__file__).resolve().parent
OPENAI = {"mean": [0.48145466, 0.4578275, 0.40821073], "std": [0.26862954, 0.26130258, 0.27577711]}
HALF = {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}
WORDS = "a photo of the cat dog big hat in on two small red".split()
MERGES = oracle.train_merges(WORDS, 32)
END_ID = len(oracle.vocabulary(MERGES)) - 1
TEXTS = ["a photo of a cat", "a photo of a dog", "a photo of a", "The cat's 2 big hats!", ""]

# Traits of the published families at sizes that fit a repository: patch, MLP ratio, activation,
# head size, storage and layout follow the model named; widths and depths do not.
#   image  (image size, patch, width, heads, mlp, layers)    text  (width, heads, mlp, layers, T)
MODELS = {
    "hf_b32": dict(image=(64, 32, 32, 2, 64, 2), text=(32, 2, 64, 2, 77), embed=24,
                   act="quick_gelu", store="f16", legacy_eos=True, seed=32, scale=4.6052),
    "hf_b16": dict(image=(48, 16, 32, 2, 64, 2), text=(16, 1, 64, 2, 77), embed=16,
                   act="quick_gelu", store="f32", seed=16, scale=4.6052, legacy_dicts=True,
                   old_preprocessor=True),
    "hf_l14": dict(image=(42, 14, 64, 1, 64, 2), text=(64, 1, 64, 1, 77), embed=24,
                   act="quick_gelu", store="bf16", seed=14, scale=4.4, position_ids=True),
    "hf_h14": dict(image=(28, 14, 80, 1, 80, 2), text=(16, 1, 64, 2, 77), embed=32, act="gelu",
                   store="mixed", seed=80, scale=4.1, tokenizer_json=True),
    "hf_bigg14": dict(image=(28, 14, 104, 1, 96, 2), text=(16, 1, 64, 1, 77), embed=40,
                      act="gelu", store="f16", shards="160KB", seed=104, scale=4.2),
    "hf_tiny16": dict(image=(32, 16, 32, 2, 128, 3), text=(16, 1, 64, 1, 77), embed=24, act="gelu",
                      store="f16", seed=8, scale=3.9),
    "hf_image": dict(image=(32, 16, 16, 1, 64, 2), text=None, embed=12, act="quick_gelu",
                     store="f32", seed=101, scale=None),
    "hf_text": dict(image=None, text=(16, 1, 64, 2, 24), embed=12, act="gelu", store="f32",
                    seed=102, scale=None),
    "oc_g14": dict(image=(28, 14, 88, 1, 1.3637, 2), text=(16, 1, 64, 1, 77), embed=32,
                   act="gelu", store="f16", seed=88, scale=4.0),
    "oc_squash14": dict(image=(42, 14, 16, 1, 4.0, 2), text=(16, 1, 64, 1, 20), embed=16,
                        act="quick_gelu", store="f32", seed=378, scale=4.5, squash=True,
                        scale_vector=True),
}


# ---- Models ---------------------------------------------------------------------------------


def sub_configs(spec):
    image = text = None
    if spec["image"]:
        size, patch, width, heads, mlp, layers = spec["image"]
        image = dict(hidden_size=width, intermediate_size=mlp, num_hidden_layers=layers,
                     num_attention_heads=heads, image_size=size, patch_size=patch,
                     hidden_act=spec["act"], projection_dim=spec["embed"])
    if spec["text"]:
        width, heads, mlp, layers, context = spec["text"]
        text = dict(hidden_size=width, intermediate_size=mlp, num_hidden_layers=layers,
                    num_attention_heads=heads, max_position_embeddings=context,
                    vocab_size=END_ID + 1, hidden_act=spec["act"], projection_dim=spec["embed"],
                    bos_token_id=END_ID - 1, eos_token_id=END_ID, pad_token_id=1)
        if spec.get("legacy_eos"):
            text.update(bos_token_id=0, eos_token_id=2)
    return image, text


def hf_model(spec):
    image, text = sub_configs(spec)
    if text is None:
        config = transformers.CLIPVisionConfig(**image)
        model = transformers.CLIPVisionModelWithProjection(config)
    elif image is None:
        model = transformers.CLIPTextModelWithProjection(transformers.CLIPTextConfig(**text))
    else:
        config = transformers.CLIPConfig(vision_config=image, text_config=text,
                                         projection_dim=spec["embed"])
        model = transformers.CLIPModel(config)
    return model.eval()


def sparse_config(spec, model):
    """config.json as published checkpoints have it: keys that equal the class default are left
    out, and some of them carry a second full copy under the *_config_dict names."""
    image, text = sub_configs(spec)
    defaults = {"vision": transformers.CLIPVisionConfig(), "text": transformers.CLIPTextConfig()}

    def sparse(kind, values):
        out = {k: v for k, v in values.items() if getattr(defaults[kind], k) != v}
        return {**out, "model_type": f"clip_{kind}_model"}

    head = {"architectures": [type(model).__name__], "torch_dtype": "float32"}
    if text is None or image is None:
        return {**head, **sparse("vision" if text is None else "text", image or text)}
    out = {**head, "model_type": "clip", "projection_dim": spec["embed"],
           "logit_scale_init_value": 2.6592, "text_config": sparse("text", text),
           "vision_config": sparse("vision", image)}
    if spec.get("legacy_dicts"):  # these win over text_config and vision_config
        out["text_config_dict"] = out["text_config"]
        out["vision_config_dict"] = out["vision_config"]
        out["text_config"] = {**out["text_config"], "num_hidden_layers": 7}
        out["vision_config"] = {**out["vision_config"], "hidden_act": "gelu"}
    return out


def write_json(path, value):
    path.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")


def preprocessor_config(spec):
    size = spec["image"][0]
    if spec.get("old_preprocessor"):
        return {"crop_size": size, "do_center_crop": True, "do_normalize": True, "do_resize": True,
                "feature_extractor_type": "CLIPFeatureExtractor", "image_mean": OPENAI["mean"],
                "image_std": OPENAI["std"], "resample": 3, "size": size}
    return {"crop_size": {"height": size, "width": size}, "do_center_crop": True,
            "do_convert_rgb": True, "do_normalize": True, "do_rescale": True, "do_resize": True,
            "image_mean": OPENAI["mean"], "image_processor_type": "CLIPImageProcessor",
            "image_std": OPENAI["std"], "resample": 3, "rescale_factor": 1 / 255,
            "size": {"shortest_edge": size}}


def open_clip_config(spec):
    size, patch, width, heads, ratio, layers = spec["image"]
    text_width, text_heads, _, text_layers, context = spec["text"]
    model = {"embed_dim": spec["embed"],
             "vision_cfg": {"image_size": size, "layers": layers, "width": width,
                            "head_width": width // heads, "mlp_ratio": ratio, "patch_size": patch},
             "text_cfg": {"context_length": context, "vocab_size": END_ID + 1,
                          "width": text_width, "heads": text_heads, "layers": text_layers}}
    if spec["act"] == "quick_gelu":
        model["quick_gelu"] = True
    norm = HALF if spec.get("squash") else OPENAI
    preprocess = {**norm, "interpolation": "bicubic",
                  "resize_mode": "squash" if spec.get("squash") else "shortest"}
    return {"model_cfg": model, "preprocess_cfg": preprocess}


def cast(spec, state):
    """Tensors in the number format of the file. "mixed" is how OpenAI's own files are stored:
    products in f16, everything else in f32."""
    store = spec["store"]
    out = {}
    for name, tensor in state.items():
        product = tensor.ndim >= 2 and "embedding.weight" not in name
        product = product or name.endswith("patch_embedding.weight")
        half = store == "f16" or (store == "mixed" and product)
        dtype = torch.bfloat16 if store == "bf16" else torch.float16 if half else torch.float32
        out[name] = tensor.to(dtype).contiguous()
    return out


def save_hf(spec, model, directory):
    state = cast(spec, model.state_dict())
    shard = spec.get("shards", "1GB")
    model.save_pretrained(directory, state_dict=dict(state), max_shard_size=shard)
    if spec.get("position_ids"):  # older files carry these counters beside the weights
        extra = {"text_model.embeddings.position_ids": torch.arange(spec["text"][4])[None],
                 "vision_model.embeddings.position_ids":
                     torch.arange((spec["image"][0] // spec["image"][1]) ** 2 + 1)[None]}
        save_file({**state, **extra}, directory / "model.safetensors", {"format": "pt"})
    for name in ("config.json", "generation_config.json"):  # replaced by the published form
        (directory / name).unlink(missing_ok=True)
    write_json(directory / "config.json", sparse_config(spec, model))
    if spec["image"]:
        write_json(directory / "preprocessor_config.json", preprocessor_config(spec))
    return state


def save_open_clip(spec, model, directory):
    state = cast(spec, model.state_dict())
    if spec.get("scale_vector"):  # some files store the temperature as one-element vector
        state["logit_scale"] = state["logit_scale"].reshape(1)
    save_file(state, directory / "open_clip_model.safetensors", {"format": "pt"})
    return state


def build(name, spec):
    """Writes the model directory; returns the model with the weights as stored, in f32."""
    directory = HERE / name
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    layers = (spec["image"] or (0,) * 6)[5] or spec["text"][3]
    if name.startswith("oc_"):
        write_json(directory / "open_clip_config.json", open_clip_config(spec))
        model = open_clip.create_model(f"local-dir:{directory}", load_weights=False).eval()
        save = save_open_clip
    else:
        model = hf_model(spec)
        save = save_hf
    oracle.randomise(model, spec["seed"], layers, spec["scale"])
    stored = save(spec, model, directory)
    shapes = {k: v.shape for k, v in model.state_dict().items()}
    model.load_state_dict({k: v.float().reshape(shapes[k]) for k, v in stored.items()})
    if spec["text"]:
        if spec.get("tokenizer_json"):
            oracle.tokenizer(MERGES, spec["text"][4])._tokenizer.save(
                str(directory / "tokenizer.json"), pretty=False)
        else:
            oracle.write_tokenizer(directory, MERGES)
    for path in directory.iterdir():
        path.chmod(0o644)
    return model


# ---- Golden values --------------------------------------------------------------------------


def processed(name, spec, directory, picture):
    """The library's own preprocessing of one picture: pixels (S,S,3) u8 and normalised f32."""
    if name.startswith("oc_"):
        config = json.loads((directory / "open_clip_config.json").read_text())["preprocess_cfg"]
        size = spec["image"][0]
        transform = open_clip.image_transform(size, False, mean=config["mean"], std=config["std"],
                                              resize_mode=config["resize_mode"],
                                              interpolation=config["interpolation"])
        normalised = transform(Image.fromarray(picture))
        mean, std = config["mean"], config["std"]
    else:
        processor = transformers.CLIPImageProcessorPil.from_pretrained(directory)
        normalised = processor(Image.fromarray(picture), return_tensors="pt").pixel_values[0]
        mean, std = processor.image_mean, processor.image_std
    mean, std = (torch.tensor(v, dtype=torch.float64)[:, None, None] for v in (mean, std))
    exact = (normalised.double() * std + mean) * 255
    pixels = exact.round()
    assert (exact - pixels).abs().max() < 1e-3
    return pixels.to(torch.uint8).permute(1, 2, 0).contiguous(), normalised


def states(name, model, kind, inputs):
    return (oracle.open_clip_states if name.startswith("oc_") else oracle.hf_states)(
        model, kind, inputs)


def reference(name, model, kind, inputs):
    """States computed in f64, rounded to f32. Prints how far an f32 run is from them, relative to
    the largest value of each state."""
    wide = inputs.double() if kind == "image" else inputs
    double = states(name, copy.deepcopy(model).double(), kind, wide)
    if not name.startswith("oc_"):
        model.set_attn_implementation("eager")
    single = states(name, model, kind, inputs)
    noise = max(float((single[k] - double[k]).abs().max() / double[k].abs().max()) for k in single)
    assert noise < 1e-5, noise
    unit = torch.nn.functional.normalize(double["projected"], dim=-1)
    off = (torch.nn.functional.normalize(single["projected"], dim=-1) - unit).abs().max()
    print(f"{name:12} {kind:6} noise {noise:.1e}, unit rows {float(off):.1e}")
    return {**double, "unit": unit}


def image_golden(name, spec, model):
    size = spec["image"][0]
    source = oracle.picture(spec["seed"], 45, 34)
    second = oracle.picture(spec["seed"] + 1, size, size)
    pairs = [processed(name, spec, HERE / name, p) for p in (source, second)]
    assert np.array_equal(pairs[1][0].numpy(), second)
    pixels = torch.stack([p[0] for p in pairs])
    normalised = torch.stack([p[1] for p in pairs])
    found = reference(name, model, "image", normalised)
    out = {"source": torch.from_numpy(source), "pixels": pixels}
    if name == "hf_image":
        out["pixels_f32"] = normalised
    for key, state in found.items():
        pooled = key == "norm" and state.ndim == 3
        out[f"image.{key}"] = state[:, 0] if pooled else state
    return out


def text_golden(name, spec, model):
    context = spec["text"][4]
    ids = oracle.tokenizer(MERGES, context)(TEXTS)["input_ids"]
    pad = 0 if name.startswith("oc_") else END_ID
    padded = torch.tensor([row + [pad] * (context - len(row)) for row in ids])
    found = reference(name, model, "text", padded)
    lengths = [len(row) for row in ids]
    first = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    out = {"ids": torch.tensor(sum(ids, []), dtype=torch.int32), "first": torch.from_numpy(first)}
    for key, state in found.items():
        if key.startswith("layer"):
            out[f"text.{key}"] = torch.cat([state[i, :n] for i, n in enumerate(lengths)])
        elif key == "norm":
            out["text.norm"] = torch.stack([state[i, n - 1] for i, n in enumerate(lengths)])
        else:
            out[f"text.{key}"] = state
    return out


def golden(name, spec, model):
    out = {}
    library = "open_clip_torch " + open_clip.__version__
    if not name.startswith("oc_"):
        library = "transformers " + transformers.__version__
    notes = {"library": f"{library}, torch {torch.__version__.split('+')[0]}", "texts": []}
    if spec["image"]:
        out.update(image_golden(name, spec, model))
    if spec["text"]:
        out.update(text_golden(name, spec, model))
        notes["texts"] = TEXTS
    if spec["image"] and spec["text"]:
        scale = model.logit_scale.detach().double().exp()
        out["logit_scale"] = scale.reshape(1)
        out["logits"] = scale * out["image.unit"] @ out["text.unit"].T
    out = {k: v.detach().float() if v.is_floating_point() else v for k, v in out.items()}
    path = HERE / f"{name}.golden.safetensors"
    # One metadata key: safetensors writes several in an order that changes from run to run.
    save_file({k: v.contiguous() for k, v in out.items()}, path, {"golden": json.dumps(notes)})
    path.chmod(0o644)


def main():
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)
    for name in sys.argv[1:] or MODELS:
        golden(name, MODELS[name], build(name, MODELS[name]))


if __name__ == "__main__":
    main()
