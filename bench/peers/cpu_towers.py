#!/usr/bin/env python3
"""Image towers on the CPU, f32: clipcu, PyTorch (eager and torch.compile) and ONNX Runtime, in one
process, in turns A B C D A B C D, on the same random weights and the same pixels.

    cpu_towers.py --library build/libclipcu.so [--threads 2] [--towers ViT-B/32,ViT-L/14]
                  [--batches 1,8,32] [--turns 5] [--json FILE] [--skip compiled]

Pixels are normalised f32 in host memory, results unit rows (PyTorch and ONNX Runtime stop at the
projection, a little less work). --before lets another build of clipcu take turns too. No time
counts before every row's cosine with PyTorch eager is at least 0.99999. A peer that is missing or
fails is a row that says so. Needs torch, transformers, open_clip; onnx, onnxscript and onnxruntime
for that peer."""
import argparse
import json
import os
import pathlib
import platform
import sys
import tempfile

COSINE_LEAST = 0.99999


def pytorch(tower, _directory, _threads):
    return lambda x: tower(x)


def compiled(tower, _directory, _threads):
    import torch

    torch._dynamo.reset()
    return torch.compile(tower, dynamic=False)


def onnx_runtime(tower, directory, threads):
    import onnxruntime
    import torch

    path = str(directory / "tower.onnx")
    if not os.path.exists(path):
        example = torch.zeros(2, 3, tower.side, tower.side)
        torch.onnx.export(tower, (example,), path, input_names=["pixels"], dynamo=True,
                          dynamic_shapes=({0: torch.export.Dim("batch", max=4096)},),
                          verbose=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda x: torch.from_numpy(session.run(None, {name: x.numpy()})[0])


PEERS = {"PyTorch": pytorch, "compiled": compiled, "ONNX Runtime": onnx_runtime}
REFERENCE = "PyTorch"


def tower_of(model, side):
    """pixels -> image features, the part of the model that every contestant runs."""
    import torch

    class Tower(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.vision, self.projection = model.vision_model, model.visual_projection
            self.side = side

        def forward(self, pixels):
            return self.projection(self.vision(pixel_values=pixels).pooler_output)

    return Tower().eval()


class Report:
    def __init__(self, path):
        self.file = open(path, "a", encoding="utf-8") if path else None
        print("| tower | batch | way | ms | p10 | p90 | images/s | calls | clipcu is |\n"
              "|---|--:|---|--:|--:|--:|--:|--:|--:|")

    def row(self, tower, batch, way, samples=None, ours=None, why=None):
        from cpu_shared import quantiles

        line = {"op": "cpu_tower", "tower": tower, "batch": batch, "way": way, "why": why}
        if samples:
            middle, low, high = (1000.0 * s for s in quantiles(samples))
            ratio = middle / ours if ours else 1.0
            print(f"| {tower} | {batch} | {way} | {middle:.1f} | {low:.1f} | {high:.1f} | "
                  f"{1000.0 * batch / middle:.2f} | {len(samples)} | {ratio:.2f} x |", flush=True)
            line |= {"ms": middle, "p10_ms": low, "p90_ms": high, "calls": len(samples),
                     "ratio": ratio}
        else:
            print(f"| {tower} | {batch} | {way} | {why} | | | | | |", flush=True)
        if self.file:
            self.file.write(json.dumps(line) + "\n")
            self.file.flush()


def run_batch(name, batch, engines, ways, spec, arguments, report):
    """One row per contestant that agrees."""
    import torch
    from cpu_shared import least_cosine, quantiles, take_turns

    generator = torch.Generator().manual_seed(batch)
    pixels = torch.randn(batch, 3, spec["image"][0], spec["image"][0], generator=generator)
    planar = pixels.numpy()
    contestants = {way: (lambda engine=engine: engine.images(planar, spec["embed"]))
                   for way, engine in engines.items()}
    contestants |= {way: (lambda work=work: work(pixels)) for way, work in ways.items()}
    with torch.inference_mode():
        reference = ways[REFERENCE](pixels).numpy()
        for way, work in list(contestants.items()):
            try:
                cosine = least_cosine(reference, work())
            except Exception as error:  # a failing peer is a row, not the end
                report.row(name, batch, way, why=f"{type(error).__name__}: {error}"[:120])
                del contestants[way]
                continue
            if not cosine >= COSINE_LEAST:
                report.row(name, batch, way, why=f"disagrees: cosine {cosine:.6f}")
                del contestants[way]
        samples = take_turns(contestants, arguments.turns)
    ours = 1000.0 * quantiles(samples["clipcu"])[0] if "clipcu" in samples else None
    for way, values in samples.items():
        report.row(name, batch, way, values, ours)


def run_tower(name, directory, arguments, report):
    from cpu_shared import Engine, make_model

    batches = [int(batch) for batch in arguments.batches.split(",")]
    model, spec = make_model(name, directory)
    tower = tower_of(model, spec["image"][0])
    libraries = {"clipcu": arguments.library, "clipcu before": arguments.before}
    engines = {way: Engine(library, directory, arguments.threads, batch_max=max(batches))
               for way, library in libraries.items() if library}
    ways = {}
    for way, prepare in PEERS.items():
        if way in arguments.skip.split(","):
            continue
        try:
            ways[way] = prepare(tower, directory, arguments.threads)
        except Exception as error:
            report.row(name, 0, way, why=f"{type(error).__name__}: {error}"[:120])
    for batch in batches:
        run_batch(name, batch, engines, ways, spec, arguments, report)
    for engine in engines.values():
        engine.close()


def versions():
    out = []
    for name in ("torch", "transformers", "onnxruntime"):
        try:
            out.append(f"{name} {__import__(name).__version__}")
        except ImportError:
            out.append(f"no {name}")
    return ", ".join(out)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--library", required=True, help="libclipcu.so")
    parser.add_argument("--before", help="another libclipcu.so, to compare two builds")
    parser.add_argument("--threads", type=int, default=2, help="of every contestant")
    parser.add_argument("--towers", default="ViT-B/32,ViT-B/16,ViT-L/14")
    parser.add_argument("--batches", default="1,8,32")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--skip", default="", help="peers to leave out, by name")
    parser.add_argument("--json", help="appends one line per row")
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(arguments.threads)  # before anybody's OpenMP starts
    try:
        import torch
    except ImportError:
        print("no PyTorch here: nothing to compare with")
        return 77
    torch.set_num_threads(arguments.threads)
    print(f"{platform.machine()}, {torch.backends.cpu.get_cpu_capability()}, "
          f"{arguments.threads} threads; {versions()}\n")
    report = Report(arguments.json)
    for name in arguments.towers.split(","):
        with tempfile.TemporaryDirectory() as directory:
            run_tower(name, pathlib.Path(directory), arguments, report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
