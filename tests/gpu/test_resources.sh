#!/bin/bash
# What the compiler gives every kernel: registers, static shared memory, stack frame, spills. Fails
# if a kernel has a stack frame or spills, if a planted one that does both goes unnoticed, or if the
# table in kernels/README.md lists other kernels than there are.
#
#   tests/gpu/test_resources.sh           check (CLIPCU_RESOURCES_FULL=1: sm_80 as well as sm_90a)
#   tests/gpu/test_resources.sh --write   write the table in kernels/README.md anew
#
# Compiler outputs are kept in the build folder and used again while nothing they depend on changes.
set -u
export LC_ALL=C
root=$(cd "$(dirname "$0")/../.." && pwd)
nvcc=${CUDACXX:-$(PATH=$PATH:/usr/local/cuda/bin command -v nvcc)}
test -n "$nvcc" || { echo "skipped: no nvcc"; exit 77; }
keep=${CLIPCU_BUILD:-$root/build}/resources
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$keep"

# sum_of DEPENDENCIES: of the project's files that a compiler output came from
sum_of() { tr -d '\\' < "$1" | tr ' ' '\n' | grep "^$root/" | sort -u | xargs cat 2>&1 | cksum; }

# compile FILE ARCH: leaves what ptxas says in $keep/NAME.ARCH.log, made anew where it must be
compile() {
    local name out
    name=$(basename "$1" .cu).$2
    out=$keep/$name
    if test -f "$out.log" && test "$(cat "$out.sum" 2>&1)" = "$(sum_of "$out.d")"; then return; fi
    rm -f "$out.sum"
    if ! "$nvcc" -std=c++17 -O3 -cubin -gencode="arch=compute_$2,code=sm_$2" -Xptxas -v \
        -Werror all-warnings -I"$root/kernels" -I"$root/host" -I"$root/include" \
        -I"$root/tests" -MD -MF "$out.d" "$1" -o "$work/$name.cubin" > "$out.log" 2>&1; then
        echo "$name does not compile:"
        head -n 20 "$out.log"
        return 1
    fi
    sum_of "$out.d" > "$out.sum"
}

# kernels ARCH: compiles what is built for it, two at a time, and prints one line per kernel
kernels() {
    local arch=$1 files
    files=$(ls "$root"/kernels/*.cu)
    case $arch in
    90a) ;;
    *) files=$(echo "$files" | grep -v 'wgmma\.cu$') ;;
    esac
    echo "$files" | xargs -P 2 -I FILE bash -c 'compile FILE "$0"' "$arch" >&2 || return 1
    for file in $files; do
        name=$(basename "$file" .cu)
        awk -f "$root/tests/gpu/resources.awk" "$keep/$name.$arch.log" | sed "s/^/$name /"
    done
}
export -f compile sum_of
export root nvcc keep work

# bad: of such lines on stdin, those with a stack frame or spills
bad() { awk '$5 + $6 + $7 > 0'; }

# ---- The table: kernels without their template arguments ----------------------------------------

# table: lines of kernels() on stdin -> Markdown
table() {
    echo '| file | kernel | instances | registers | static shared, B | stack and spills, B |'
    echo '|---|---|--:|--:|--:|--:|'
    awk '{
        name = $2 # _Z<length><name><template arguments and parameters>
        sub(/^_Z/, "", name)
        length_of = name + 0
        sub(/^[0-9]+/, "", name)
        if (length_of > 0) { name = substr(name, 1, length_of) }
        id = $1 ".cu` | `" name
        n[id]++
        if (!(id in least) || $3 < least[id]) { least[id] = $3 }
        if ($3 > most[id]) { most[id] = $3 }
        if ($4 > shared[id]) { shared[id] = $4 }
        spills[id] += $5 + $6 + $7
    }
    END {
        for (id in n) {
            printf "| `%s` | %d | %s | %d | %d |\n", id, n[id],
                   least[id] == most[id] ? most[id] : least[id] " to " most[id], shared[id],
                   spills[id]
        }
    }' | sort
}

# The part of the README between its markers.
written() { awk '/^<!-- resources end/ { on = 0 } on; /^<!-- resources begin/ { on = 1 }' "$1"; }

# Columns that must be current: file, kernel, spills. Registers may differ between compilers.
essence() { awk -F '|' '/^\| `/ { print $2, $3, $7 }' | sort; }

write() {
    awk -v from="$work/table" '
        /^<!-- resources end/ { on = 0 }
        !on
        /^<!-- resources begin/ { on = 1; while ((getline line < from) > 0) { print line } }
    ' "$root/kernels/README.md" > "$work/README.md" &&
        cat "$work/README.md" > "$root/kernels/README.md"
}

# ---- Run ----------------------------------------------------------------------------------------

status=0
archs=90a
test "${CLIPCU_RESOURCES_FULL:-0}" = 1 && archs='90a 80'
for arch in $archs; do
    kernels "$arch" > "$work/all.$arch" || { echo "sm_$arch: not everything compiles"; exit 1; }
    awk '{ print $2, $1, $3, $4, $5, $6 + $7 }' "$work/all.$arch" |
        { command -v c++filt > /dev/null && c++filt || cat; } | sed "s/^/sm_$arch /"
    found=$(bad < "$work/all.$arch")
    if test -n "$found"; then
        echo "sm_$arch: a stack frame or spills:"
        echo "$found"
        status=1
    fi
done
test -s "$work/all.90a" || { echo "no kernel was found"; exit 1; }
table < "$work/all.90a" > "$work/table"
if test "${1:-}" = --write; then
    write
    exit $status
fi

written "$root/kernels/README.md" | essence > "$work/written"
essence < "$work/table" > "$work/current"
if ! diff "$work/written" "$work/current" > "$work/diff"; then
    echo "kernels/README.md is not current (< there, > now); run $0 --write"
    cat "$work/diff"
    status=1
fi

# A kernel with an indexed array and too few registers: it has both, and must be noticed.
cat > "$work/planted.cu" << 'PLANTED'
__global__ void __launch_bounds__(1024, 2) planted_kernel(float *x, int n) {
    float a[64], b[64];
    for (int i = 0; i < 64; i++) { a[i] = x[i * n]; }
#pragma unroll
    for (int i = 0; i < 64; i++) { b[i] = x[i * n + 1]; }
    __syncthreads();
    float sum = a[n % 64];
#pragma unroll
    for (int i = 0; i < 64; i++) { sum += b[i] * b[63 - i] * x[i]; }
    x[threadIdx.x] = sum;
}
PLANTED
keep=$work
compile "$work/planted.cu" 90a || exit 1
planted=$(awk -f "$root/tests/gpu/resources.awk" "$keep/planted.90a.log" |
          sed 's/^/planted /' | bad | awk '$5 > 0 && $6 > 0 && $7 > 0')
test -n "$planted" || { echo "a planted stack frame with spills went unnoticed"; status=1; }
echo "$(wc -l < "$work/all.90a") kernels on sm_90a, $(echo "$found" | grep -c .) with spills"
exit $status
