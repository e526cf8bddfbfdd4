"""The demo model for training: CLIP's block structure in plain PyTorch, and its export.

The maths is that of transformers' CLIPModel (pre-LN blocks, ln_pre, QuickGELU, class token,
causal text tower pooled at the end token); what differs is that training may drop a random part
of the patches, and that q, k and v are one product. Used by train_demo.py.
"""
import os

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn

from demo_tokenizer import write_json

SIZE = dict(image=64, patch=8, width=192, heads=3, layers=6,
            text_width=128, text_heads=2, text_layers=4, context=32, embed=256)
MEAN = [0.48145466, 0.4578275, 0.40821073]     # OpenAI's, so that preprocessing is the usual one
STD = [0.26862954, 0.26130258, 0.27577711]


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.ln1, self.ln2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x, causal):
        batch, length, width = x.shape
        qkv = self.qkv(self.ln1(x)).view(batch, length, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=causal)
        x = x + self.out(y.transpose(1, 2).reshape(batch, length, width))
        y = self.fc1(self.ln2(x))
        return x + self.fc2(y * torch.sigmoid(1.702 * y))


class DemoClip(nn.Module):
    def __init__(self, vocab):
        super().__init__()
        s = SIZE
        self.patch = nn.Conv2d(3, s["width"], s["patch"], s["patch"], bias=False)
        self.cls = nn.Parameter(torch.randn(s["width"]) * 0.02)
        self.positions = nn.Parameter(
            torch.randn((s["image"] // s["patch"]) ** 2 + 1, s["width"]) * 0.02)
        self.ln_pre, self.ln_post = nn.LayerNorm(s["width"]), nn.LayerNorm(s["width"])
        self.blocks = nn.ModuleList(Block(s["width"], s["heads"]) for _ in range(s["layers"]))
        self.image_projection = nn.Linear(s["width"], s["embed"], bias=False)
        self.tokens = nn.Parameter(torch.randn(vocab, s["text_width"]) * 0.02)
        self.text_positions = nn.Parameter(torch.randn(s["context"], s["text_width"]) * 0.01)
        self.text_blocks = nn.ModuleList(
            Block(s["text_width"], s["text_heads"]) for _ in range(s["text_layers"]))
        self.ln_final = nn.LayerNorm(s["text_width"])
        self.text_projection = nn.Linear(s["text_width"], s["embed"], bias=False)
        self.logit_scale = nn.Parameter(torch.tensor(2.6593))
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=module.in_features ** -0.5 * 0.7)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        # The residual branches do not start smaller, as they often do: with that the class token
        # hardly differs between pictures (mean cosine at the start 0.96 instead of 0.71).

    def encode_image(self, pixels, keep=1.0):
        """pixels (B, 3, 64, 64) normalised -> unit vectors; keep < 1 drops random patches."""
        x = self.patch(pixels).flatten(2).transpose(1, 2) + self.positions[1:]
        if keep < 1.0:
            batch, length, width = x.shape
            index = torch.rand(batch, length).argsort(1)[:, :int(length * keep)]
            x = x.gather(1, index[..., None].expand(-1, -1, width))
        first = (self.cls + self.positions[0]).expand(x.shape[0], 1, -1)
        x = self.ln_pre(torch.cat([first, x], 1))
        for block in self.blocks:
            x = block(x, False)
        return F.normalize(self.image_projection(self.ln_post(x[:, 0])), dim=-1)

    def encode_text(self, ids, lengths):
        """ids (B, T), padded to the longest; lengths count the end token. -> unit vectors"""
        x = self.tokens[ids] + self.text_positions[:ids.shape[1]]
        for block in self.text_blocks:
            x = block(x, True)
        x = self.ln_final(x[torch.arange(len(ids)), lengths - 1])
        return F.normalize(self.text_projection(x), dim=-1)


def hf_tensors(model):
    """The weights under transformers' names: f16, but LayerNorm and logit_scale f32."""
    tensors = {}

    def put(name, value, exact=False):
        value = value.detach().clone().contiguous()
        tensors[name] = value.float() if exact else value.half()

    def norm(name, module):
        put(name + ".weight", module.weight, True)
        put(name + ".bias", module.bias, True)

    def linear(name, weight, bias):
        put(name + ".weight", weight)
        put(name + ".bias", bias)

    for tower, blocks in (("vision_model", model.blocks), ("text_model", model.text_blocks)):
        for i, block in enumerate(blocks):
            stem = f"{tower}.encoder.layers.{i}."
            norm(stem + "layer_norm1", block.ln1)
            norm(stem + "layer_norm2", block.ln2)
            for part, w, b in zip("qkv", block.qkv.weight.chunk(3), block.qkv.bias.chunk(3)):
                linear(stem + f"self_attn.{part}_proj", w, b)
            linear(stem + "self_attn.out_proj", block.out.weight, block.out.bias)
            linear(stem + "mlp.fc1", block.fc1.weight, block.fc1.bias)
            linear(stem + "mlp.fc2", block.fc2.weight, block.fc2.bias)
    put("vision_model.embeddings.patch_embedding.weight", model.patch.weight)
    put("vision_model.embeddings.class_embedding", model.cls)
    put("vision_model.embeddings.position_embedding.weight", model.positions)
    norm("vision_model.pre_layrnorm", model.ln_pre)
    norm("vision_model.post_layernorm", model.ln_post)
    put("visual_projection.weight", model.image_projection.weight)
    put("text_model.embeddings.token_embedding.weight", model.tokens)
    put("text_model.embeddings.position_embedding.weight", model.text_positions)
    norm("text_model.final_layer_norm", model.ln_final)
    put("text_projection.weight", model.text_projection.weight)
    put("logit_scale", model.logit_scale, True)
    return tensors


def export(model, folder, vocab):
    """Writes config.json, preprocessor_config.json and model.safetensors for transformers."""
    s, start = SIZE, vocab["<|startoftext|>"]
    common = {"hidden_act": "quick_gelu", "layer_norm_eps": 1e-5, "attention_dropout": 0.0,
              "projection_dim": s["embed"]}
    write_json(os.path.join(folder, "config.json"), {
        "architectures": ["CLIPModel"], "model_type": "clip", "torch_dtype": "float16",
        "projection_dim": s["embed"], "logit_scale_init_value": 2.6592,
        "text_config": {**common, "model_type": "clip_text_model", "vocab_size": len(vocab),
                        "hidden_size": s["text_width"], "num_hidden_layers": s["text_layers"],
                        "num_attention_heads": s["text_heads"],
                        "intermediate_size": 4 * s["text_width"],
                        "max_position_embeddings": s["context"], "bos_token_id": start,
                        "eos_token_id": start + 1, "pad_token_id": start + 1},
        "vision_config": {**common, "model_type": "clip_vision_model",
                          "hidden_size": s["width"], "num_hidden_layers": s["layers"],
                          "num_attention_heads": s["heads"],
                          "intermediate_size": 4 * s["width"], "num_channels": 3,
                          "image_size": s["image"], "patch_size": s["patch"]}})
    write_json(os.path.join(folder, "preprocessor_config.json"), {
        "image_processor_type": "CLIPImageProcessor", "do_convert_rgb": True,
        "do_resize": True, "size": {"shortest_edge": s["image"]}, "resample": 3,
        "do_center_crop": True, "crop_size": {"height": s["image"], "width": s["image"]},
        "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True,
        "image_mean": MEAN, "image_std": STD})
    path = os.path.join(folder, "model.safetensors")
    save_file(hf_tensors(model), path + ".part", metadata={"format": "pt"})
    os.chmod(path + ".part", 0o644)
    os.replace(path + ".part", path)    # a reader never sees half a file
