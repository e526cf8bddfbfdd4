#!/usr/bin/env bash
# convert_prompt.py on checkpoints as the original code leaves them, optimizer objects included, on
# wrong ones, and on one that would run a command.
. "$(dirname "$0")/../tests/cli/common.sh"

if ! python3 -c 'import torch, safetensors.torch' >/dev/null 2>&1; then
    skip "convert_prompt.py" "no PyTorch with safetensors here"
    finish
fi
cat >make.py <<'END'
import os
import sys

import torch


class Command:
    def __reduce__(self):
        return os.system, ("touch was_run",)


def save(path, state, **more):
    weight = torch.nn.Parameter(torch.randn(2))
    descent = torch.optim.SGD([weight], lr=0.1, momentum=0.9)
    weight.sum().backward()
    descent.step()
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(descent, 10)
    torch.save({"state_dict": state, "epoch": 50, "optimizer": descent.state_dict(),
                "scheduler": {"successor": schedule}, "val_result": None} | more, path)


def meta(C, E):
    h = E // 16
    shapes = {"linear1.weight": (h, E), "linear1.bias": (h,), "linear2.weight": (C, h),
              "linear2.bias": (C,)}
    return {f"meta_net.{name}": torch.randn(shape) for name, shape in shapes.items()}


C, E = int(sys.argv[1]), int(sys.argv[2])
buffers = {"token_prefix": torch.randn(3, 1, C), "token_suffix": torch.randn(3, 72, C)}
ctx = torch.randn(4, C)
save("coop", {"ctx": ctx.half()} | buffers)
save("specific", {"module.ctx": torch.randn(3, 4, C)})
if E >= 16:
    save("cocoop", {"ctx": ctx} | meta(C, E) | buffers)
save("wide", {"ctx": torch.randn(4, C + 1)})
save("others", {"ctx": torch.randn(5, 4, C)})
save("stranger", {"ctx": ctx, "adapter": ctx})
save("nothing", {"weight": ctx})
save("command", {"ctx": ctx}, surprise=Command())
END
"$CLIPCU" info --model "$model" --format json >info
python3 make.py "$(sed 's/.*"text_width":\([0-9]*\).*/\1/' info)" \
    "$(sed 's/.*"embed_dim":\([0-9]*\).*/\1/' info)" || exit 1
printf 'dog\ncat\nred fox\n' >labels.txt
ppm red.ppm 377 000 000

convert() { # CHECKPOINT ARGUMENT...
    status=0
    python3 "$CLIPCU_SOURCE/weights/convert_prompt.py" "$1" --model "$model" --labels labels.txt \
        --clipcu "$CLIPCU" -o "$1.safetensors" "${@:2}" >out 2>err || status=$?
}
for name in coop cocoop specific; do
    convert $name
    exits 0 "$name"
    run classify --model "$model" --prompt $name.safetensors red.ppm --format jsonl
    exits 0 "$name is used"
    prints '"label":"red fox"' "$name has the labels"
done
convert coop --position front
exits 0 "another position"
for wrong in "wide ctx is" "others --labels has 3" "stranger adapter" \
    "nothing there is no tensor ctx"; do
    convert "${wrong%% *}"
    exits 1 "${wrong%% *}"
    says "${wrong#* }" "${wrong%% *}"
done
convert cocoop --position front
exits 1 "cocoop elsewhere"
convert command
exits 0 "what a checkpoint would run"
test ! -e was_run
report $? "is not run"
finish
