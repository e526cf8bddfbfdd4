"""Makes the files of tests/data/text from the reference tokenizers.

    python make_text_golden.py bpe_simple_vocab_16e6.txt.gz tests/data/text

Needs open_clip_torch (with ftfy and regex) and tokenizers. Writes

    small/tokenizer.json       the first 1000 merges in CLIP's layout, saved by tokenizers
    golden.json                a few hundred strings with the ids of both rules in that vocabulary
    imagenet_classnames.txt    OpenAI's 1000 class names

Column "openai" is open_clip's SimpleTokenizer with the special tokens spelt as OpenAI spells them;
"hf_fast" is the tokenizers library. Left out: strings that ftfy's fix_encoding repairs (clean.h
says why) and characters that the references' Unicode versions disagree about.
"""
import gzip
import html.entities
import json
import os
import random
import sys
import tempfile
import unicodedata
import zlib

import ftfy
import regex
from open_clip.tokenizer import SimpleTokenizer
from open_clip.zero_shot_metadata import IMAGENET_CLASSNAMES
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

MERGES = 1000
START, END = "<|startoftext|>", "<|endoftext|>"
SPECIAL = r"<\|startoftext\|>|<\|endoftext\|>|"
SPLIT = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"

WORDS = """a photo of the cat dog's it'LL We've DON'T I'm he'd they're running HELLO World 2024 3.14
naïve café Straße ΟΔΟΣ ΣΊΣΥΦΟΣ Σ Σ's αΣ.α İstanbul ſ 'ſ ﬁne oﬃce ŉ Ǆ ĳ
ｆｕｌｌ ｶﾞ “q” ‘x’ don’t
<|startoftext|> <|endoftext|> <|ENDOFTEXT|> <|STARTOFTEXT|> <|ſtartoftext|> !<|endoftext|>!
<start_of_text> </w> … — 你好 世界 안녕
नमस्ते สวัสดี שלום مرحبا Привет
😀 👨‍👩‍👧 🇺🇸 👍🏽 ½ ① Ⅷ ² ͅ ǖ̈""".split()

RANGES = 6 * [(0x20, 0x7e)] + [
    (0xa0, 0xff), (0x100, 0x24f), (0x250, 0x2ff), (0x300, 0x36f), (0x370, 0x3ff), (0x400, 0x52f),
    (0x590, 0x6ff), (0x900, 0x97f), (0xe00, 0xe7f), (0x1100, 0x11ff), (0x1e00, 0x1fff),
    (0x2000, 0x206f), (0x2070, 0x218f), (0x2190, 0x27ff), (0x2c00, 0x2dff), (0x3000, 0x30ff),
    (0x3130, 0x318f), (0x4e00, 0x9fff), (0xa640, 0xa7ff), (0xac00, 0xd7a3), (0xf900, 0xfaff),
    (0xfb00, 0xfb4f), (0xfe00, 0xfeff), (0xff00, 0xffef), (0x10400, 0x1044f), (0x1d400, 0x1d7ff),
    (0x1f100, 0x1f1ff), (0x1f300, 0x1faff), (1, 0x1f), (0x7f, 0x9f), (0xfff0, 0xffff)]


def read_merges(path, count):
    with gzip.open(path) as file:
        return [tuple(line.split()) for line in file.read().decode().split("\n")[1:count + 1]]


class OpenAI:
    """open_clip's tokenizer, with OpenAI's special tokens."""

    def __init__(self, merges):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "merges.gz")
            with gzip.open(path, "wb") as file:
                file.write("\n".join(["header"] + [" ".join(m) for m in merges]).encode())
            self.tokenizer = t = SimpleTokenizer(path)
        t.encoder[START] = t.encoder.pop("<start_of_text>")
        t.encoder[END] = t.encoder.pop("<end_of_text>")
        t.cache = {START: START, END: END}
        t.pat = regex.compile(SPECIAL + SPLIT, regex.IGNORECASE)

    def vocab(self):
        return self.tokenizer.encoder

    def encode(self, text):
        return self.tokenizer.encode(text)


def hf_fast(vocab, merges):
    t = Tokenizer(models.BPE(vocab=vocab, merges=merges, unk_token=END, fuse_unk=False,
                             continuing_subword_prefix="", end_of_word_suffix="</w>"))
    t.normalizer = normalizers.Sequence([
        normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()])
    t.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(SPECIAL + SPLIT), "removed", invert=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)])
    t.post_processor = processors.RobertaProcessing(
        (END, vocab[END]), (START, vocab[START]), trim_offsets=False, add_prefix_space=False)
    t.add_special_tokens([AddedToken(START, normalized=True, special=True),
                          AddedToken(END, normalized=False, special=True)])
    return t


class Strings:
    """Random strings of every kind that the rules treat apart. No NUL: C strings end there."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.names = sorted(html.entities.html5)

    def character(self):
        low, high = self.random.choice(RANGES)
        return chr(self.random.randint(low, high))

    def reference(self):
        r, kind = self.random, self.random.random()
        if kind < 0.35:
            name = r.choice(self.names)
            return "&" + (name if r.random() < 0.7 else name.rstrip(";"))
        if kind < 0.5:
            return "&" + r.choice(self.names).upper()
        number = r.choice([r.randint(0, 300), r.randint(0, 0x3000), r.randint(0, 0x11ffff)])
        if kind < 0.7:
            return "&#%d" % number + r.choice([";", "", " "])
        if kind < 0.9:
            return "&#" + r.choice("xX") + "%x" % number + r.choice([";", "", "g", " "])
        return "&" + "amp;" * r.randint(1, 3) + r.choice(
            ["lt;", "copy", "#65;", "eacute;", "EACUTE;", "notit;", "#"])

    def escape(self):
        return "\x1b[" + "".join(self.random.choice("0123456789;\u0661")
                                 for _ in range(self.random.randint(0, 4))) + \
            self.random.choice("mKHa!\u0661")

    def part(self):
        r, kind = self.random, self.random.random()
        if kind < 0.15:
            return "".join(self.character() for _ in range(r.randint(1, 4)))
        if kind < 0.3:
            return self.reference()
        if kind < 0.36:
            return r.choice(["<", ">", "&", "\n", "\r\n", "\r", "\t", "\f", "\v", "\u2028", "\x85",
                             "\x1b", "\ufeff"])
        if kind < 0.39:
            return self.escape()
        if kind < 0.43:
            return "x" * r.randint(1, 30)
        if kind < 0.48:
            return chr(r.randint(0x300, 0x345))
        return r.choice(WORDS)

    def string(self, parts_max):
        r, raw, out = self.random, self.random.random() < 0.25, []
        for _ in range(r.randint(0, parts_max)):
            out.append(self.character() if raw else self.part())
            if r.random() < 0.5:
                out.append(r.choice([" ", " ", "  ", "\u00a0", "\u3000"]))
        return "".join(out)


def agreed(text, openai):
    """False for strings outside of what clean.h promises."""
    if ftfy.fix_text(text) != ftfy.fix_text(text, fix_encoding=False):
        return False
    clean = openai.tokenizer.clean_fn(text)
    return not any(unicodedata.category(c) == "Cn" for c in text + clean)


def main():
    merges_path, folder = sys.argv[1:]
    merges = read_merges(merges_path, MERGES)
    openai = OpenAI(merges)
    fast = hf_fast(openai.vocab(), merges)
    os.makedirs(os.path.join(folder, "small"), exist_ok=True)
    fast.save(os.path.join(folder, "small", "tokenizer.json"), pretty=False)

    strings, rows = Strings(2024), []
    texts = WORDS + [strings.string(5) for _ in range(420)]
    for text in texts:
        if agreed(text, openai):
            rows.append({"text": text, "openai": openai.encode(text),
                         "hf_fast": fast.encode(text).ids[1:-1]})
    with open(os.path.join(folder, "golden.json"), "w") as file:
        file.write("[\n" + ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows))
        file.write("\n]\n")

    names = "\n".join(IMAGENET_CLASSNAMES)
    assert zlib.crc32(names.encode()) == 0x849d9e1c
    with open(os.path.join(folder, "imagenet_classnames.txt"), "w") as file:
        file.write(names + "\n")


if __name__ == "__main__":
    main()
