"""What the CPU comparisons share: models with random weights, clipcu by ctypes, taking turns."""
import ctypes
import math
import pathlib
import statistics
import sys
import time

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "parity"), str(ROOT / "tests" / "golden")]

CPU = 1  # CLIPCU_DEVICE_CPU
PRECISIONS = {"f32": 0, "bf16": 1, "int8": 4}
TURN_SECONDS = 0.25  # of one contestant, after one call that does not count


# ---- Models ---------------------------------------------------------------------------------


def make_model(name, directory, merges=None):
    """The Hugging Face model of tests/parity's table, random weights, also as files in directory:
    what clipcu opens. Without merges no texts."""
    import oracle
    from architectures import ARCHITECTURES
    from make_reference import hf_model, read_merges, write_safetensors

    spec = ARCHITECTURES[name]
    model, weights = hf_model(spec, directory)
    model.eval()
    layers = max(spec["image"][3], spec["text"][1])
    oracle.randomise(model, seed=1, layers=layers, logit_scale=math.log(100))
    model.set_attn_implementation("sdpa")  # the faster of PyTorch's two
    write_safetensors(directory / weights, model.state_dict())
    if merges is not None:
        oracle.write_tokenizer(directory, read_merges(merges))
    return model, spec


# ---- clipcu -----------------------------------------------------------------------------------


class Error(ctypes.Structure):
    _fields_ = [("code", ctypes.c_int), ("text", ctypes.c_char * 508)]


class Options(ctypes.Structure):
    """clipcu_options of include/clipcu.h."""
    _fields_ = [("device", ctypes.c_int), ("device_index", ctypes.c_int32),
                ("precision", ctypes.c_int), ("batch_max", ctypes.c_int32),
                ("threads", ctypes.c_int32), ("crop", ctypes.c_int), ("tokenizer", ctypes.c_int),
                ("truncate", ctypes.c_int32), ("exif", ctypes.c_int32),
                ("pixels_max", ctypes.c_int64), ("warn", ctypes.c_void_p),
                ("warn_user", ctypes.c_void_p), ("stream", ctypes.c_void_p),
                ("draft", ctypes.c_int32)]


class Engine:
    """An open model. Every failure is a RuntimeError with the library's own line."""

    def __init__(self, library, directory, threads, precision="f32", batch_max=32):
        self.lib = ctypes.CDLL(str(library))
        self.lib.clipcu_options_default.restype = Options
        self.lib.clipcu_bank_rows.restype = ctypes.POINTER(ctypes.c_float)
        self.lib.clipcu_bank_rows.argtypes = [ctypes.c_void_p]
        self.lib.clipcu_builtin_templates.restype = ctypes.POINTER(ctypes.c_char_p)
        options = self.lib.clipcu_options_default()
        options.device, options.precision = CPU, PRECISIONS[precision]
        options.batch_max, options.threads = batch_max, threads
        self.handle = ctypes.c_void_p()
        self.call("clipcu_open", str(directory).encode(), ctypes.byref(options),
                  ctypes.byref(self.handle))

    def call(self, name, *arguments):
        error = Error()
        if getattr(self.lib, name)(*arguments, ctypes.byref(error)) != 0:
            raise RuntimeError(f"{name}: {error.text.decode()}")

    def images(self, pixels, width):
        """(B, 3, S, S) normalised f32 -> (B, width) unit rows"""
        out = np.empty((len(pixels), width), np.float32)
        self.call("clipcu_encode_images_f32", self.handle, ctypes.c_void_p(pixels.ctypes.data),
                  ctypes.c_int32(len(pixels)), ctypes.c_void_p(out.ctypes.data))
        return out

    def texts(self, texts, width):
        out = np.empty((len(texts), width), np.float32)
        self.call("clipcu_encode_texts", self.handle, strings(texts),
                  ctypes.c_int32(len(texts)), ctypes.c_void_p(out.ctypes.data))
        return out

    def bank(self, labels, templates, width):
        """A class bank, built and closed again; its rows (K, width)."""
        bank = ctypes.c_void_p()
        self.call("clipcu_bank_build", self.handle, strings(labels), ctypes.c_int32(len(labels)),
                  strings(templates), ctypes.c_int32(len(templates)), ctypes.byref(bank))
        rows = np.ctypeslib.as_array(self.lib.clipcu_bank_rows(bank), (len(labels), width)).copy()
        self.lib.clipcu_bank_close(bank)
        return rows

    def templates(self, name):
        """The built-in templates of that name, as strings."""
        count = ctypes.c_int32()
        found = self.lib.clipcu_builtin_templates(name.encode(), ctypes.byref(count))
        return [found[i].decode() for i in range(count.value)]

    def close(self):
        self.lib.clipcu_close(self.handle)
        self.handle = None


def strings(texts):
    return (ctypes.c_char_p * len(texts))(*(text.encode() for text in texts))


# ---- Taking turns -----------------------------------------------------------------------------


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def least_cosine(a, b):
    return float((unit(np.asarray(a, np.float64)) * unit(np.asarray(b, np.float64))).sum(1).min())


def take_turns(contestants, turns):
    """A B C A B C ...: {name: [seconds of a call]}. Each turn starts with a call that does not
    count: the thread pools of the others go to sleep meanwhile, and its own wakes up."""
    samples = {name: [] for name in contestants}
    for _ in range(turns):
        for name, work in contestants.items():
            work()
            spent = 0.0
            while spent < TURN_SECONDS:
                start = time.perf_counter()
                work()
                samples[name].append(time.perf_counter() - start)
                spent += samples[name][-1]
    return samples


def quantiles(values):
    """median, p10, p90"""
    if len(values) < 2:
        return values[0], values[0], values[0]
    tenths = statistics.quantiles(values, n=10, method="inclusive")
    return statistics.median(values), tenths[0], tenths[8]
