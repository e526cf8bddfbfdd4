#!/bin/bash
# Everything that a machine with a GPU can tell, in one unattended run of a few minutes: build,
# conformance, agreement, goldens, compute-sanitizer, measurements. Called by `make gpu-check`.
#
#   tests/gpu/gpu_check.sh [BUILD_FOLDER]
#
# Every step has a time limit and runs even if one before it failed; the report (Markdown, and JSON
# lines beside it) is bench/results/DATE-DEVICE.md. Exit status 1 if a step failed, 77 if there is
# no GPU or no nvcc.
#
#   GPU_CHECK_EMULATED=1   the same steps on the emulator, small cases only: tries this script
#   GPU_CHECK_RESULTS=DIR  where the report goes
#   GPU_CHECK_SECONDS=480  of the whole run; what does not fit is reported as left out
set -u
export LC_ALL=C
root=$(cd "$(dirname "$0")/../.." && pwd)
build=${1:-$root/build-gpu}
results=${GPU_CHECK_RESULTS:-$root/bench/results}
seconds=${GPU_CHECK_SECONDS:-480}
emulated=${GPU_CHECK_EMULATED:-0}
jobs=${JOBS:-$(nproc)}

# ---- What is here -------------------------------------------------------------------------------

PATH=$PATH:${CUDA_HOME:-/usr/local/cuda}/bin
if test "$emulated" = 1; then
    device=emulator arch=''
else
    command -v nvcc > /dev/null || { echo "gpu-check: skipped: no nvcc"; exit 77; }
    gpu=$(nvidia-smi --query-gpu=name,compute_cap,driver_version,clocks.sm,clocks.mem,power.limit \
          --format=csv,noheader 2>/dev/null | head -n 1)
    case $gpu in
    *,*) ;;
    *) echo "gpu-check: skipped: no GPU (nvidia-smi names none)"; exit 77 ;;
    esac
    device=$(echo "${gpu%%,*}" | tr -c 'A-Za-z0-9\n' '-' | sed 's/^NVIDIA-//')
    arch=$(echo "$gpu" | cut -d , -f 2 | tr -d ' .')
    test "$arch" = 90 && arch=90a
    arch=$arch-real
fi
for tool in cmake c++; do
    command -v $tool > /dev/null || { echo "gpu-check: skipped: no $tool"; exit 77; }
done

mkdir -p "$results" "$build"
report=$results/$(date -u +%F)-$device.md
json=${report%.md}.json
logs=$build/logs
rm -rf "$logs"
mkdir -p "$logs"
: > "$json"

# ---- Steps --------------------------------------------------------------------------------------

table=''
failed=0
left() { echo $((seconds - SECONDS)); }

# note NAME RESULT SECONDS TEXT
note() {
    table="$table| $1 | $2 | $3 | $4 |
"
    printf 'gpu-check: %-28s %-8s %4s s  %s\n' "$1" "$2" "$3" "$4"
    printf '{"step":"%s","result":"%s","seconds":%s}\n' "$1" "$2" "$3" >> "$json"
}

# step NAME LIMIT COMMAND...: runs it with its output in logs/NAME; 77 is skipped
step() {
    local name=$1 limit=$2 start=$SECONDS code
    shift 2
    if test "$(left)" -lt 5; then
        note "$name" "left out" 0 "no time is left of $seconds s"
        failed=1
        return 1
    fi
    test "$limit" -le "$(left)" || limit=$(left)
    timeout -k 5 "$limit" "$@" > "$logs/$name" 2>&1 < /dev/null
    code=$?
    case $code in
    0)  note "$name" passed $((SECONDS - start)) "$(summary "$name")" ;;
    77) note "$name" skipped $((SECONDS - start)) "$(summary "$name")" ;;
    124|137) note "$name" FAILED $((SECONDS - start)) "over $limit s"; failed=1 ;;
    *)  note "$name" FAILED $((SECONDS - start)) "status $code: $(summary "$name")"; failed=1
        tail -n 15 "$logs/$name" | sed 's/^/    /' ;;
    esac
    return "$code"
}

# The last line that is not empty, short enough for a table.
summary() { grep -v '^ *$' "$logs/$1" | tail -n 1 | tr '|' '/' | cut -c 1-150; }

configure() {
    local generator=''
    command -v ninja > /dev/null && generator='-G Ninja'
    if test "$emulated" = 1; then
        cmake -S "$root/tests/gpu" -B "$build" $generator -DCLIPCU_GPU_EMULATED=ON
    else
        cmake -S "$root/tests/gpu" -B "$build" $generator -DCMAKE_CUDA_ARCHITECTURES="$arch"
    fi
}

build_all() { configure && cmake --build "$build" --parallel "$jobs"; }

goldens() {
    local folder=$root/tests/golden model models=''
    test -x "$build/gpu_golden" || { echo "no libcjson or no libutf8proc here"; return 77; }
    for model in "$folder"/*.golden.safetensors; do
        models="$models $(basename "$model" .golden.safetensors)"
    done
    test "$emulated" = 1 && models='hf_b32 oc_squash14'
    "$build/gpu_golden" "$folder" $models
}

# sanitizer TOOL: each op in a process of its own, several at a time; small cases
sanitizer() {
    local tool=$1 op bad=0
    command -v compute-sanitizer > /dev/null || { echo "no compute-sanitizer here"; return 77; }
    export tool build logs
    printf '%s\n' $ops | xargs -P 4 -I OP bash -c '
        timeout -k 5 100 compute-sanitizer --tool "$tool" --error-exitcode 9 \
            "$build/gpu_agree" agree OP all 3e6 > "$logs/$tool-OP" 2>&1
        code=$?
        test $code = 0 || { echo "$tool OP: status $code"; grep -m 5 "=====" "$logs/$tool-OP"; }
        test $code = 0' || bad=1
    grep -l 'Device not supported' "$logs/$tool"-* > /dev/null 2>&1 &&
        { echo "compute-sanitizer cannot watch this device"; return 77; }
    test $bad = 0 && echo "$tool: $(printf '%s\n' $ops | wc -l) ops, nothing found"
    return $bad
}

peers() {
    local python=${PYTHON:-python3}
    "$python" -c 'import torch, sys; sys.exit(not torch.cuda.is_available())' 2> /dev/null ||
        { echo "no PyTorch with CUDA here"; return 77; }
    "$python" "$root/bench/peers/torch_clip.py" --ours "$build/gpu_bench" --json "$json" \
        --seconds "$(($(left) - 15))"
}

export -f configure build_all goldens sanitizer peers left
export root build logs emulated arch jobs json seconds
run() { # run NAME LIMIT FUNCTION [ARGUMENT...]: a step that is a function of this script
    local name=$1 limit=$2
    shift 2
    export SECONDS_GONE=$SECONDS
    step "$name" "$limit" bash -c 'SECONDS=$SECONDS_GONE; "$@"' function "$@"
}

export ops='linear patch_embed embed_tokens layernorm attention attention_tree gather normalise
segment_sum scores_topk resize_crop'
small=0 way_small=0 build_limit=200
test "$emulated" = 1 && small=2e4 way_small=1e6 build_limit=$seconds

if run build "$build_limit" build_all; then
    step conformance 30 "$build/conformance" simt "$root/tests/gpu/conformance.golden"
    step conformance-hopper 60 "$build/conformance" hopper \
        "$root/tests/gpu/conformance_hopper.golden"
    for op in $ops; do step "agree-$op" 60 "$build/gpu_agree" agree "$op" all "$small"; done
    for way in cublaslt wgmma mma plain; do
        step "agree-linear-$way" 40 "$build/gpu_agree" agree linear all "$way_small" "$way"
    done
    test "$emulated" = 1 || step stable 90 "$build/gpu_agree" stable
    run golden 60 goldens
    if test "$emulated" = 1; then
        step bench 120 "$build/gpu_bench" --tiny --json "$json" all
    else
        step bench-ops 100 "$build/gpu_bench" --json "$json" ops
        step bench-towers-bf16 60 "$build/gpu_bench" --json "$json" towers
        step bench-towers-f16 60 "$build/gpu_bench" --json "$json" --dtype f16 towers
        for tool in memcheck racecheck synccheck; do run "$tool" 100 sanitizer "$tool"; done
        run bench-peers 200 peers
    fi
fi

# ---- The report ---------------------------------------------------------------------------------

{
    echo "# $(date -u +%F) $device"
    echo
    echo "* commit $(git -C "$root" rev-parse --short HEAD 2> /dev/null || echo unknown)"
    if test "$emulated" = 1; then
        echo "* the emulator: nothing here was measured"
    else
        echo "* GPU, capability, driver, SM clock, memory clock, power limit as found: $gpu"
        echo "* $(nvcc --version | grep -o 'release.*' | head -n 1), compiled for sm_${arch%-real}"
    fi
    echo "* $SECONDS s in all"
    printf '\n## Steps\n\n| step | result | s | last line |\n|---|---|--:|---|\n%s' "$table"
    for log in bench bench-ops bench-towers-bf16 bench-towers-f16 bench-peers; do
        test -f "$logs/$log" && printf '\n## %s\n\n' "$log" && cat "$logs/$log"
    done
    exit 0
} > "$report"
echo "gpu-check: report in $report, outputs in $logs"
exit $failed
