#!/bin/sh
# Every name of the device vocabulary is used by a conformance case: the functions and macros that
# simt.h and simt_hopper.h list at their top, and those that they and their device halves define.
# Also tries whether a name without a case would be noticed.
set -eu
export LC_ALL=C
here=$(cd "$(dirname "$0")" && pwd)
kernels=$here/../../kernels

# Names in the comment at a header's top: "name(", "name<T>(" and, in CUDA's own list, "__name".
listed() {
    awk '/^#ifndef/ { exit } { print }' "$1" |
        sed 's/__shfl_{,up_,down_,xor_}sync/__shfl_sync( __shfl_up_sync( __shfl_down_sync( &/
             s/__shfl_{[a-z_,]*}sync/__shfl_xor_sync(/
             s/\(__[a-z_]*sync[a-z]*\),/\1(,/g; s/__ldg,/__ldg(,/; s/__fdividef/__fdividef(/' |
        grep -oE '[A-Za-z_][A-Za-z0-9_]*(<[A-Za-z0-9_, ]*>)?\(' | sed 's/[<(].*//'
}

# Functions and macros a header defines for kernels; what it undefines again is its own.
defined() {
    sed -n 's/.*__device__ __forceinline__ .*[ *]\([a-z_0-9]*\)\(<[a-z_0-9]*>\)\{0,1\}(.*/\1/p
            s/^#define \([A-Z_0-9a-z]*\).*/\1/p
            s/^static constexpr [a-z_0-9]* *\([A-Z_0-9]*\) .*/\1/p
            s/^inline int \([a-z_]*\)(.*/\1/p' "$1" |
        grep -v '_H$' | while read -r name; do
            grep -q "^#undef $name\$" "$1" || echo "$name"
        done
}

# missing CASES HEADER...: the names without a case
missing() {
    cases=$1
    shift
    for header in "$@"; do listed "$header"; defined "$header"; done | sort -u |
        # CUDA's attributes, the host's half, what wgmma_desc_* go through, words of the prose
        grep -vxE -e 'ccu_.*|__.*__|__launch_bounds__|atomicAdd|wgmma_desc' \
            -e 'b|a|d|x|float|int|elements|KiB' |
        while read -r name; do grep -qw -- "$name" $cases || echo "$name"; done
}

simt="$here/conformance.cu $here/conformance_numbers.cu"
found=$(missing "$simt" "$kernels/simt.h" "$kernels/simt_ptx.h"
        missing "$simt $here/conformance_hopper.cu" "$kernels/simt_hopper.h" \
                "$kernels/simt_ptx_hopper.h")
if test -n "$found"; then
    echo "no conformance case uses:" $found
    exit 1
fi
count=$(for header in simt simt_hopper; do listed "$kernels/$header.h"; done | sort -u | wc -l)
test "$count" -ge 40 || { echo "only $count names were found in the headers' lists"; exit 1; }
grep -q atomicAdd $simt || { echo "no conformance case uses atomicAdd"; exit 1; }

# A vocabulary with one more name is noticed.
extended=$(mktemp)
trap 'rm -f "$extended"' EXIT
sed 's|^ \*   bar_sync(id, threads)| *   warp_dance(id)  a new name\n&|' \
    "$kernels/simt.h" > "$extended"
test "$(missing "$simt" "$extended")" = warp_dance ||
    { echo "a name without a case goes unnoticed"; exit 1; }
echo "all $count listed names have a conformance case"
