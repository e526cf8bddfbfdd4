#!/usr/bin/env python3
"""Which of these words fits each picture best? Python's standard library and libclipcu.so.

    python3 classify.py MODEL cat,dog,boat photo.jpg...

Prints one line per picture: path, best word, probability. The pictures go through the model in
batches; the library reads and resizes them. CLIPCU_LIBRARY names the library if the system's loader
does not find it.
"""

import ctypes
import os
import sys
from ctypes import POINTER, Structure, byref, c_char, c_char_p, c_float, c_int, c_int32, c_int64
from ctypes import c_size_t, c_uint64, c_void_p

# ---- The structs of clipcu.h, field by field, and the functions used here ------------------------


class Error(Structure):
    _fields_ = [("code", c_int), ("text", c_char * 508)]


class Options(Structure):
    _fields_ = [("device", c_int), ("device_index", c_int32), ("precision", c_int),
                ("batch_max", c_int32), ("threads", c_int32), ("crop", c_int),
                ("tokenizer", c_int), ("truncate", c_int32), ("exif", c_int32),
                ("pixels_max", c_int64), ("warn", c_void_p), ("warn_user", c_void_p),
                ("stream", c_void_p), ("draft", c_int32)]


class Info(Structure):
    _fields_ = [(name, c_char_p) for name in ("model_dir", "family", "layout", "device",
                                              "precision", "activation")]
    _fields_ += [("fingerprint", c_uint64)]
    _fields_ += [(name, c_int32) for name in (
        "has_image", "has_text", "image_size", "patch_size", "image_width", "image_layers",
        "image_heads", "text_width", "text_layers", "text_heads", "context_length", "vocab_size",
        "embed_dim", "batch_max")]
    _fields_ += [("logit_scale", c_float), ("parameters", c_int64), ("weights_bytes", c_size_t),
                 ("activations_bytes", c_size_t)]


class Match(Structure):
    _fields_ = [("class_index", c_int32), ("cosine", c_float), ("probability", c_float)]


lib = ctypes.CDLL(os.environ.get("CLIPCU_LIBRARY", "libclipcu.so.0.1"))
lib.clipcu_options_default.restype = Options
lib.clipcu_engine_info.restype = Info
lib.clipcu_engine_info.argtypes = [c_void_p]
lib.clipcu_close.argtypes = lib.clipcu_bank_close.argtypes = [c_void_p]
lib.clipcu_bank_label.restype = c_char_p
lib.clipcu_bank_label.argtypes = [c_void_p, c_int32]
for name, *arguments in [
        ("clipcu_open", c_char_p, POINTER(Options), POINTER(c_void_p)),
        ("clipcu_bank_build", c_void_p, POINTER(c_char_p), c_int32, POINTER(c_char_p), c_int32,
         POINTER(c_void_p)),
        ("clipcu_load_image", c_void_p, c_char_p, c_void_p),
        ("clipcu_encode_images", c_void_p, c_void_p, c_int32, POINTER(c_float)),
        ("clipcu_rank", c_void_p, c_void_p, POINTER(c_float), c_int32, c_int32, POINTER(Match))]:
    getattr(lib, name).argtypes = arguments + [POINTER(Error)]


def check(function, *arguments):
    """Calls a function that returns a status; a failure becomes an exception."""
    error = Error()
    if function(*arguments, byref(error)) != 0:
        raise RuntimeError(error.text.decode(errors="replace"))


# ---- The program ---------------------------------------------------------------------------------


def classify(engine, bank, paths):
    """Yields (path, label, probability), or (path, None, what went wrong)."""
    info = lib.clipcu_engine_info(engine)
    picture_bytes = info.image_size * info.image_size * 3
    for first in range(0, len(paths), info.batch_max):
        batch = paths[first:first + info.batch_max]
        pixels = (ctypes.c_uint8 * (len(batch) * picture_bytes))()
        embeddings = (c_float * (len(batch) * info.embed_dim))()
        matches = (Match * len(batch))()
        failed = {}
        for i, path in enumerate(batch):  # an unreadable picture stays black
            try:
                check(lib.clipcu_load_image, engine, os.fsencode(path),
                      ctypes.addressof(pixels) + i * picture_bytes)
            except RuntimeError as error:
                failed[i] = error
        check(lib.clipcu_encode_images, engine, pixels, len(batch), embeddings)
        check(lib.clipcu_rank, engine, bank, embeddings, len(batch), 1, matches)
        for i, path in enumerate(batch):
            label = lib.clipcu_bank_label(bank, matches[i].class_index).decode()
            yield (path, None, failed[i]) if i in failed else (path, label, matches[i].probability)


def main():
    if len(sys.argv) < 4:
        sys.exit("usage: classify.py MODEL LABEL,LABEL,... PICTURE...")
    labels = [label.encode() for label in sys.argv[2].split(",")]
    engine, bank, options = c_void_p(), c_void_p(), lib.clipcu_options_default()
    status = 0
    try:
        check(lib.clipcu_open, os.fsencode(sys.argv[1]), byref(options), byref(engine))
        check(lib.clipcu_bank_build, engine, (c_char_p * len(labels))(*labels), len(labels), None,
              0, byref(bank))
        for path, label, result in classify(engine, bank, sys.argv[3:]):
            if label is None:
                print(result, file=sys.stderr)
                status = 2
            else:
                print(f"{path}\t{label}\t{result:.4f}")
    except RuntimeError as error:
        sys.exit(str(error))
    finally:
        lib.clipcu_bank_close(bank)
        lib.clipcu_close(engine)
    return status


if __name__ == "__main__":
    sys.exit(main())
