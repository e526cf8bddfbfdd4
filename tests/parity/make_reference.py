# One model of the parity run: random weights as a model directory, and what PyTorch computes with
# it. A process of its own, so that its memory is free again when clipcu runs.
#
#   make_reference.py NAME MODEL_DIR REFERENCE.npz MERGES TEXTS.json IMAGE...

import gzip
import json
import math
import pathlib
import sys

import numpy as np
import open_clip
import torch
import transformers
from PIL import Image
from transformers.initialization import no_init_weights

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "golden"))

import oracle  # noqa: E402
from architectures import ARCHITECTURES  # noqa: E402

MERGES_COUNT = 48894
MEAN = [0.48145466, 0.4578275, 0.40821073]
STD = [0.26862954, 0.26130258, 0.27577711]
DTYPES = {torch.float32: "F32", torch.float16: "F16"}


def read_merges(path):
    opened = gzip.open(path, "rt", encoding="utf-8") if path.endswith(".gz") else open(path)
    with opened as file:
        lines = file.read().split("\n")[1 : MERGES_COUNT + 1]
    return [tuple(line.split()) for line in lines]


def write_safetensors(path, tensors):
    """As safetensors.torch.save_file, one tensor in memory at a time."""
    header, offset = {}, 0
    for name, tensor in tensors.items():
        end = offset + tensor.numel() * tensor.element_size()
        header[name] = {"dtype": DTYPES[tensor.dtype], "shape": list(tensor.shape),
                        "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for tensor in tensors.values():
            tensor.detach().contiguous().numpy().tofile(file)


def hf_model(spec, directory):
    size, patch, width, layers, heads, mlp = spec["image"]
    text_width, text_layers, text_heads = spec["text"]
    vision = dict(hidden_size=width, intermediate_size=mlp, num_hidden_layers=layers,
                  num_attention_heads=heads, image_size=size, patch_size=patch,
                  hidden_act=spec["act"])
    text = dict(hidden_size=text_width, intermediate_size=4 * text_width,
                num_hidden_layers=text_layers, num_attention_heads=text_heads,
                hidden_act=spec["act"])
    config = transformers.CLIPConfig(vision_config=vision, text_config=text,
                                     projection_dim=spec["embed"])
    config.save_pretrained(directory)
    preprocessor = {"size": {"shortest_edge": size}, "crop_size": {"height": size, "width": size},
                    "image_processor_type": "CLIPImageProcessor", "image_mean": MEAN,
                    "image_std": STD, "resample": 3}
    (directory / "preprocessor_config.json").write_text(json.dumps(preprocessor))
    with no_init_weights():
        model = transformers.CLIPModel(config)
    model.set_attn_implementation("eager")
    return model, "model.safetensors"


def open_clip_model(spec, directory):
    size, patch, width, layers, heads, mlp = spec["image"]
    text_width, text_layers, text_heads = spec["text"]
    vision = {"image_size": size, "layers": layers, "width": width, "head_width": width // heads,
              "patch_size": patch, "mlp_ratio": spec.get("mlp_ratio", 4.0)}
    assert int(width * vision["mlp_ratio"]) == mlp
    text = {"context_length": 77, "vocab_size": 49408, "width": text_width, "heads": text_heads,
            "layers": text_layers}
    config = {"model_cfg": {"embed_dim": spec["embed"], "quick_gelu": spec["act"] == "quick_gelu",
                            "vision_cfg": vision, "text_cfg": text},
              "preprocess_cfg": {"mean": MEAN, "std": STD, "interpolation": "bicubic",
                                 "resize_mode": "squash" if "squash" in spec else "shortest"}}
    (directory / "open_clip_config.json").write_text(json.dumps(config))
    model = open_clip.create_model(f"local-dir:{directory}", load_weights=False)
    return model, "open_clip_model.safetensors"


def pixels_of(spec, paths):
    """transformers' processor on Pillow, whose crop rule is clipcu's default too."""
    size = spec["image"][0]
    squash = {"height": size, "width": size}
    processor = transformers.CLIPImageProcessorPil(
        size=squash if "squash" in spec else {"shortest_edge": size},
        crop_size={"height": size, "width": size}, image_mean=MEAN, image_std=STD)
    images = [Image.open(path) for path in paths]
    return processor(images, return_tensors="pt").pixel_values


@torch.inference_mode()
def unit_rows(model, is_hf, pixels, ids):
    """Two at a time: the score matrices of eager attention are large."""
    images = []
    for batch in pixels.split(2):
        images.append(model.get_image_features(batch).pooler_output if is_hf
                      else model.encode_image(batch))
    texts = []
    for batch in ids.split(64):
        texts.append(model.get_text_features(batch).pooler_output if is_hf
                     else model.encode_text(batch))
    return [torch.nn.functional.normalize(torch.cat(x), dim=-1).numpy() for x in (images, texts)]


def main():
    name, model_dir, reference, merges_path, texts_path, *images = sys.argv[1:]
    spec = ARCHITECTURES[name]
    directory = pathlib.Path(model_dir)
    directory.mkdir(parents=True)
    is_hf = spec.get("layout") != "open_clip"
    model, weights = (hf_model if is_hf else open_clip_model)(spec, directory)
    model.eval()
    layers = max(spec["image"][3], spec["text"][1])
    oracle.randomise(model, seed=len(name) + layers, layers=layers, logit_scale=math.log(100))
    if spec.get("half"):
        model.half()
    write_safetensors(directory / weights, model.state_dict())
    model.float()

    merges = read_merges(merges_path)
    oracle.write_tokenizer(directory, merges)
    texts = json.loads(pathlib.Path(texts_path).read_text())
    tokens = oracle.tokenizer(merges, 77)(texts, padding="max_length", return_tensors="pt")
    ids = tokens["input_ids"]
    assert ids.shape[1] == 77, ids.shape
    image_rows, text_rows = unit_rows(model, is_hf, pixels_of(spec, images), ids)
    parameters = sum(p.numel() for p in model.parameters())
    np.savez(reference, images=image_rows, texts=text_rows, parameters=parameters)


if __name__ == "__main__":
    main()
