"""A small byte-level BPE vocabulary in CLIP's exact layout, and the files that describe it.

Ids: 0..255 the byte alphabet, 256..511 the same with </w>, 512+r merge number r, then
<|startoftext|> and <|endoftext|>. Used by train_demo.py.
"""
import collections
import json
import os

import regex

SPLIT = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
START, END = "<|startoftext|>", "<|endoftext|>"


def byte_alphabet():
    """[(byte, character)] in id order: printable bytes first, the other 68 mapped to U+0100.."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [b for b in range(256) if b not in printable]
    return [(b, chr(b)) for b in printable] + [(b, chr(256 + i)) for i, b in enumerate(others)]


def word_counts(texts):
    char_of = dict(byte_alphabet())
    counts = collections.Counter()
    for text in texts:
        for word in regex.findall(SPLIT, text.lower()):
            chars = [char_of[b] for b in word.encode()]
            counts[tuple(chars[:-1]) + (chars[-1] + "</w>",)] += 1
    return counts


def merge_word(word, pair):
    merged, i = [], 0
    while i < len(word):
        if i + 1 < len(word) and (word[i], word[i + 1]) == pair:
            merged.append(word[i] + word[i + 1])
            i += 2
        else:
            merged.append(word[i])
            i += 1
    return tuple(merged)


def train_merges(texts, count):
    """Plain BPE: merge the most frequent pair, ties by the pair itself, so runs repeat exactly."""
    counts = word_counts(texts)
    pairs, where = collections.Counter(), collections.defaultdict(set)
    for word, n in counts.items():
        for pair in zip(word, word[1:]):
            pairs[pair] += n
            where[pair].add(word)
    merges = []
    while len(merges) < count and pairs:
        best = min(pairs, key=lambda p: (-pairs[p], p))
        if pairs[best] < 2:
            break
        merges.append(best)
        for word in list(where[best]):
            n, new = counts.pop(word), merge_word(word, best)
            for pair in zip(word, word[1:]):
                pairs[pair] -= n
                where[pair].discard(word)
                if pairs[pair] <= 0:
                    del pairs[pair]
            counts[new] += n
            for pair in zip(new, new[1:]):
                pairs[pair] += n
                where[pair].add(new)
    return merges


def write_json(path, value, indent=2):
    with open(path, "w", encoding="utf-8") as file:
        json.dump(value, file, ensure_ascii=False, indent=indent)
        file.write("\n")


def tokenizer_json(vocab, merges):
    def added(content, normalized):
        return {"id": vocab[content], "special": True, "content": content, "single_word": False,
                "lstrip": False, "rstrip": False, "normalized": normalized}
    return {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [added(START, True), added(END, False)],
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "NFC"},
            {"type": "Replace", "pattern": {"Regex": "\\s+"}, "content": " "},
            {"type": "Lowercase"}]},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex":
                r"<\|startoftext\|>|<\|endoftext\|>|" + SPLIT},
             "behavior": "Removed", "invert": True},
            {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True,
             "use_regex": True}]},
        "post_processor": {"type": "RobertaProcessing", "sep": [END, vocab[END]],
                           "cls": [START, vocab[START]], "trim_offsets": False,
                           "add_prefix_space": False},
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True,
                    "use_regex": True},
        "model": {"type": "BPE", "dropout": None, "unk_token": END,
                  "continuing_subword_prefix": "", "end_of_word_suffix": "</w>",
                  "fuse_unk": False, "vocab": vocab,
                  "merges": [" ".join(pair) for pair in merges]},
    }


def write_tokenizer(folder, merges, context):
    """Writes vocab.json, merges.txt, tokenizer.json and the two small config files."""
    alphabet = [char for _, char in byte_alphabet()]
    tokens = alphabet + [c + "</w>" for c in alphabet] + ["".join(m) for m in merges]
    tokens += [START, END]
    vocab = {token: i for i, token in enumerate(tokens)}
    assert len(vocab) == len(tokens) == 514 + len(merges)
    write_json(os.path.join(folder, "vocab.json"), vocab, None)
    with open(os.path.join(folder, "merges.txt"), "w", encoding="utf-8") as file:
        file.write("#version: 0.2\n" + "".join(" ".join(m) + "\n" for m in merges))
    write_json(os.path.join(folder, "tokenizer.json"), tokenizer_json(vocab, merges), None)
    write_json(os.path.join(folder, "tokenizer_config.json"), {
        "tokenizer_class": "CLIPTokenizer", "model_max_length": context,
        "bos_token": START, "eos_token": END, "unk_token": END, "pad_token": END,
        "do_lower_case": True, "errors": "replace", "add_prefix_space": False,
        "clean_up_tokenization_spaces": False})
    write_json(os.path.join(folder, "special_tokens_map.json"), {
        "bos_token": START, "eos_token": END, "unk_token": END, "pad_token": END})
    return vocab
