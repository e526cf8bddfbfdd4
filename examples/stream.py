#!/usr/bin/env python3
"""Pictures as a NumPy matrix, all stages at once. Python, NumPy and libclipcu.so.

    python3 stream.py MODEL OUT.npy photo.jpg...

Writes one unit row per picture, NaN where it could not be read (and says so). classify.py beside
this file has the structs of clipcu.h.
"""

import ctypes
import os
import sys
from ctypes import POINTER, Structure, byref, c_char_p, c_float, c_int, c_int32, c_uint64, c_void_p

import numpy

from classify import Error, Match, check, lib

RESULT, LATER, END = range(3)
LIMIT = 5


class Result(Structure):
    _fields_ = [("id", c_uint64), ("status", c_int), ("error", c_char_p),
                ("embedding", POINTER(c_float)), ("matches", POINTER(Match)),
                ("matches_count", c_int32)]


class PipelineOptions(Structure):
    _fields_ = [("bank", c_void_p), ("top", c_int32), ("threads", c_int32),
                ("pending_max", c_int32), ("take", c_void_p), ("user", c_void_p)]


lib.clipcu_pipeline_options_default.restype = PipelineOptions
lib.clipcu_pipeline_close.argtypes = [c_void_p]
lib.clipcu_pipeline_submit_file.argtypes = [c_void_p, c_uint64, c_char_p, c_int32, POINTER(Error)]


def embed(engine, paths):
    """The embeddings (len(paths), E) of picture files, and what went wrong by index."""
    rows = numpy.full((len(paths), lib.clipcu_engine_info(engine).embed_dim), numpy.nan, "f4")
    options, pipeline = lib.clipcu_pipeline_options_default(), c_void_p()
    result, arrival, failed, sent = Result(), c_int(LATER), {}, 0
    check(lib.clipcu_pipeline_open, byref(engine), 1, byref(options), byref(pipeline))
    try:
        while arrival.value != END:
            error = Error()
            while sent < len(paths) and lib.clipcu_pipeline_submit_file(
                    pipeline, sent, os.fsencode(paths[sent]), 0, byref(error)) == 0:
                sent += 1
            if error.code not in (0, LIMIT):  # LIMIT: no room before results are fetched
                raise RuntimeError(error.text.decode(errors="replace"))
            if sent == len(paths):
                check(lib.clipcu_pipeline_finish, pipeline)
            check(lib.clipcu_pipeline_next, pipeline, -1, byref(result), byref(arrival))
            if arrival.value == RESULT and result.status != 0:
                failed[result.id] = result.error.decode(errors="replace")
            elif arrival.value == RESULT:
                rows[result.id] = result.embedding[:rows.shape[1]]
    finally:
        lib.clipcu_pipeline_close(pipeline)
    return rows, failed


def main():
    if len(sys.argv) < 4:
        sys.exit("usage: stream.py MODEL OUT.npy PICTURE...")
    engine, options = c_void_p(), lib.clipcu_options_default()
    try:
        check(lib.clipcu_open, os.fsencode(sys.argv[1]), byref(options), byref(engine))
        rows, failed = embed(engine, sys.argv[3:])
    except RuntimeError as error:
        sys.exit(f"stream.py: {error}")
    finally:
        lib.clipcu_close(engine)
    for text in failed.values():
        print(text, file=sys.stderr)
    numpy.save(sys.argv[2], rows)
    sys.exit(2 if failed else 0)


if __name__ == "__main__":
    main()
