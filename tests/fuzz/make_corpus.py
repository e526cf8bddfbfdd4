#!/usr/bin/env python3
"""Writes the inputs that fuzzing starts from: tests/fuzz/make_corpus.py, into tests/fuzz/corpus.

Made of tests/data, the models of tests/golden and texts written out here. The first byte of most
inputs says what the target does with the rest: see the first comment of each fuzz_NAME.c. The
pictures of tests/data/images are inputs as they are; here are only kinds that are not among them.
"""
import gzip
import json
import pathlib
import struct
import zlib

FUZZ = pathlib.Path(__file__).resolve().parent
TESTS = FUZZ.parent


def put(target, name, *parts):
    folder = FUZZ / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    data = b"".join(p.encode() if isinstance(p, str) else p for p in parts)
    (folder / name).write_bytes(data)


def tensors(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def entry(dtype, shape, begin, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def bank_header():
    return {
        "__metadata__": {"format": "clipcu-bank-1", "labels": "[\"cat\",\"dog \\u00e9\"]",
                         "fingerprint": "0123456789abcdef", "logit_scale": "100"},
        "bank": entry("F32", [2, 2], 0, 16)}


def bank():
    rows = struct.pack("<4f", 1, 0, 0.6, 0.8)
    eight = bank_header()
    eight["bank"] = entry("F32", [8, 2], 0, 64)
    eight["__metadata__"]["labels"] = json.dumps([f"c{i}" for i in range(8)])
    put("bank", "whole", "f", tensors(bank_header(), rows))
    put("bank", "header", "h", json.dumps(eight))


def prompt_header(method, tensors_of, **changed):
    metadata = {"format": "clipcu-prompt-1", "method": method, "position": "end",
                "class_specific": "false", "embed_dim": "16", "epoch": "3",
                "fingerprint": "0123456789abcdef", "labels": "[\"cat\",\"dog \\u00e9\"]",
                "init": "a photo"}
    at, header = 0, {"__metadata__": metadata | changed}
    for name, shape in tensors_of.items():
        count = 4
        for side in shape:
            count *= side
        header[name] = entry("F32", shape, at, at + count)
        at += count
    return header, at


def prompt():
    coop = {"ctx": [2, 3]}
    conditional = coop | {"meta_net.linear1.weight": [1, 16], "meta_net.linear1.bias": [1],
                          "meta_net.linear2.weight": [3, 1], "meta_net.linear2.bias": [3]}
    going_on = conditional | {f"momentum.{name}": shape for name, shape in conditional.items()}
    for name, kind in (("coop", coop), ("cocoop", conditional)):
        header, size = prompt_header(name, kind)
        put("prompt", f"{name}_whole", "f", tensors(header, bytes(size)))
        put("prompt", f"{name}_header", "h", json.dumps(header))
    header, size = prompt_header("cocoop", going_on, note="shots 4\n{}\n")
    put("prompt", "checkpoint", "f", tensors(header, bytes(size)))
    header, size = prompt_header("coop", {"ctx": [2, 2, 3]}, class_specific="true",
                                 position="middle")
    put("prompt", "class_specific", "h", json.dumps(header))


def safetensors():
    two = {"__metadata__": {"format": "pt"}, "a": entry("F32", [2, 2], 0, 16),
           "b.c": entry("BF16", [3], 16, 22), "d": entry("F16", [1, 1, 1, 1], 24, 26)}
    others = {"i": entry("I64", [1], 0, 8), "empty": entry("F32", [0], 8, 8),
              "one": entry("U8", [], 8, 9), "bool": entry("BOOL", [2, 2], 9, 13)}
    put("safetensors", "whole", "f", tensors(two, bytes(range(26))))
    put("safetensors", "padded", "f", tensors(json.dumps(two).encode() + b"   ", bytes(26)))
    put("safetensors", "header", "h", json.dumps(two))
    put("safetensors", "dtypes", "h", json.dumps(others))
    put("safetensors", "index", "i", json.dumps({
        "metadata": {"total_size": 24},
        "weight_map": {"x": "a.safetensors", "y": "a.safetensors", "z": "b.safetensors"}}))


def config():
    kinds = {"config.json": "h", "open_clip_config.json": "o", "preprocessor_config.json": "p"}
    for path in sorted((TESTS / "golden").glob("*/*config.json")):
        if path.name in kinds and path.stat().st_size < 4000:
            small = json.dumps(json.loads(path.read_text()), separators=(",", ":"))
            put("config", f"{path.parent.name}_{kinds[path.name]}", kinds[path.name], small)
    put("config", "vision", "h", json.dumps({
        "model_type": "clip_vision_model", "hidden_size": 32, "num_hidden_layers": 2,
        "num_attention_heads": 2, "intermediate_size": 64, "image_size": 32, "patch_size": 16,
        "projection_dim": 16, "hidden_act": "gelu", "layer_norm_eps": 1e-5}))
    put("config", "legacy_size", "p", json.dumps({
        "size": 224, "crop_size": [224, 224], "resample": 3, "do_center_crop": True,
        "image_mean": 0.5, "image_std": [0.5, 0.5, 0.5], "rescale_factor": 1 / 255}))


def tokenizer():
    golden = json.loads((TESTS / "data/text/golden.json").read_text())
    texts = []

    def collect(value):
        if isinstance(value, str):
            texts.append(value)
        elif isinstance(value, (list, dict)):
            for item in value.values() if isinstance(value, dict) else value:
                collect(item)

    collect(golden)
    texts = sorted({t for t in texts if 0 < len(t) < 120}, key=lambda t: (len(t), t))
    for i, text in enumerate(texts[::max(1, len(texts) // 24)]):
        put("tokenizer", f"golden_{i:02}", text)
    put("tokenizer", "entities", "&amp;lt; &#x41;&#65; &notit; &CounterClockwiseContourIntegral;")
    put("tokenizer", "damaged", b"caf\xc3\xa9 \xc3\xa9\x9f \xed\xa0\x80 \xff")
    put("tokenizer", "special", "<|startoftext|>a<|endoftext|>b <|endoftext|")


def vocab():
    put("vocab", "merges", "m", "#version: 0.2\nt h\nth e</w>\nd o\n")
    put("vocab", "merges_crlf", "m", "#version: 0.2\r\nt h\r\n\r\nth e</w>\r\n")
    put("vocab", "members", "v", '"th":512,"the</w>":513,"do":514,"<|startoftext|>":515,'
        '"<|endoftext|>":516}')
    put("vocab", "parts", "p", '"version":"1.0","added_tokens":[{"id":515,"content":'
        '"<|startoftext|>","special":true},{"id":516,"content":"<|endoftext|>"}],'
        '"normalizer":{"type":"Sequence","normalizers":[{"type":"NFC"}]}')
    put("vocab", "plain", "b", "#version: 0.2\nt h\nth e</w>\n")
    put("vocab", "gzip", "b", gzip.compress(b"#version: 0.2\nt h\nth e</w>\n", mtime=0))
    put("vocab", "json", "t", '{"model":{"type":"BPE","vocab":{"!":0,"a":1},"merges":["! a"]}}')


def npy_header(text, version=1):
    length = struct.pack("<H" if version == 1 else "<I", len(text))
    return b"\x93NUMPY" + bytes([version, 0]) + length + text.encode()


def npy():
    text = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n"
    half = text.replace("<f4", "<f2")
    numbers = struct.pack("<6f", 1, 0, 0, 0.6, 0.8, 0)
    put("npy", "f4", "n", npy_header(text), numbers)
    put("npy", "f2", "n", npy_header(half, 2), struct.pack("<6e", 1, 0, 0, 0, 1, 0))
    put("npy", "none", "n", npy_header(text.replace("(2,", "(0,"), 3))
    put("npy", "dictionary", "d", text.replace("(2,", "(4,"))
    put("npy", "fields", "d", "{'descr': [('a', '<f4')], 'fortran_order': True, 'shape': ()}")
    put("npy", "tensors", "s", tensors({"embeddings": entry("F32", [2, 3], 0, 24)}, numbers))
    put("npy", "header", "h", json.dumps({"bank": entry("F32", [4, 3], 0, 48)}))
    put("npy", "bf16", "h", json.dumps({"x": entry("BF16", [8, 3], 0, 48)}))


def lines():
    put("lines", "labels", "cat\ndog\r\n\n  zebra crossing  \ncat\n")
    put("lines", "templates", "\xef\xbb\xbfa photo of a {}.\n# {}\n{} {}\n")
    put("lines", "classes", "a cat, a dog ,\"quoted, name\",")
    put("lines", "long", "x" * 150 + "\nshort\n" + "y" * 101)
    put("lines", "bytes", b"\xff\xfe\x00a\n\x1b[31m\xe2\x80\xae\xf0\x9f\x98\x80<b>&'\"\n")


def chunk(name, content):
    sum32 = zlib.crc32(name + content)
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", sum32)


def image():
    rows = zlib.compress(bytes([0, 1, 2, 3] * 2))
    head = struct.pack(">IIBBBBB", 1, 2, 8, 2, 0, 0, 0)
    put("image", "png", b"\x89PNG\r\n\x1a\n", chunk(b"IHDR", head),
        chunk(b"tRNS", bytes(6)), chunk(b"IDAT", rows), chunk(b"IEND", b""))
    put("image", "gif", b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff"
        b"!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;")
    put("image", "bmp", b"BM", struct.pack("<IHHI", 58, 0, 0, 54),
        struct.pack("<IiiHHIIiiII", 40, 1, 1, 1, 24, 0, 4, 0, 0, 0, 0), bytes(4))
    put("image", "p1", "P1 # bits\n3 2\n1 0 1 010")
    put("image", "p2", "P2 2 1 9 0 9 ")
    put("image", "p3", "P3 1 1 255 1 2 3\n")
    put("image", "p4", b"P4 9 1\n\xaa\x80")
    put("image", "p5", b"P5 2 1 65535 \x00\x01\xff\xff")
    put("image", "p6", b"P6 1 2 255\nabcdef")
    put("image", "webp_lossless", b"RIFF\x1a\x00\x00\x00WEBPVP8L\x0d\x00\x00\x00"
        b"\x2f\x00\x00\x00\x10\x07\x10\x11\x11\x88\x88\xfe\x07\x00")


for make in (bank, prompt, safetensors, config, tokenizer, vocab, npy, lines, image):
    make()
