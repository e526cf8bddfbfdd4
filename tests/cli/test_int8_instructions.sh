#!/bin/bash
# The int8 kernel compiles for CPUs that this machine may not be, and to the instruction meant.
: "${CLIPCU_SOURCE:=$(cd "$(dirname "$0")/../.." && pwd)}" "${CLIPCU_CC:=cc}"
command -v objdump >/dev/null || { echo "SKIPPED: no objdump"; exit 77; }
case $(uname -m) in x86_64) ;; *) echo "SKIPPED: not an x86-64"; exit 77 ;; esac
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
failed=0
tried=0

# compiles INSTRUCTION FLAGS...: the object file has the instruction
compiles() {
    instruction=$1
    shift
    if ! "$CLIPCU_CC" "$@" -x c -fsyntax-only /dev/null 2>/dev/null; then
        echo "not tried, the compiler has no $*"
        return
    fi
    tried=$((tried + 1))
    if ! "$CLIPCU_CC" -std=c11 -O3 -fopenmp -Wall -Wextra -Wshadow -Wcast-qual -Werror "$@" \
        -D_POSIX_C_SOURCE=200809L -I "$CLIPCU_SOURCE/include" -I "$CLIPCU_SOURCE/host" \
        -c "$CLIPCU_SOURCE/host/ops/product_int8.c" -o "$folder/int8.o"; then
        echo "FAILED: $*: does not compile"
        failed=1
    elif ! objdump -d "$folder/int8.o" | grep -q "$instruction"; then
        echo "FAILED: $*: no $instruction"
        failed=1
    fi
}

compiles vpdpbusd.*zmm -mfma -mavx512f -mavx512bw -mavx512vnni
compiles vpdpbusd.*ymm -mfma -mavx2 -mavxvnni
compiles vpmaddubsw.*zmm -mfma -mavx512f -mavx512bw
compiles vpmaddubsw.*ymm -mfma -mavx2
compiles pmaddubsw.*xmm -mssse3
compiles pmul -O2
test "$tried" -gt 1 || { echo "FAILED: nothing was compiled"; failed=1; }
exit $failed
