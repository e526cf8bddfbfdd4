#!/bin/sh
# Tests and one classification under valgrind's memcheck: tests/sanitize/valgrind.sh BUILD
#
# For a build with -DCLIPCU_NATIVE=OFF: valgrind does not know every instruction of every machine.
# What AddressSanitizer cannot see is looked for: decisions by values that nobody wrote. One that is
# planted has to be found before the tests run, and a leak.
set -eu
build=$(cd "$1" && pwd)
source=$(cd "$(dirname "$0")/../.." && pwd)
export OMP_NUM_THREADS=1
# libjpeg-turbo's vector code reads the ends of its rows, which valgrind cannot follow: its pixels
# count as written by nobody. In plain C, with equal bytes, they do not.
export JSIMD_FORCENONE=1

# Memory that is still reachable at the end is libgomp's pool; lost memory is an error.
check() {
    valgrind --quiet --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite \
        --suppressions="$source/tests/sanitize/valgrind.supp" "$@"
}

check "$build/tests/sanitize_planted" none >/dev/null
for planted in uninitialised leak; do
    if check "$build/tests/sanitize_planted" $planted >/dev/null 2>&1; then
        echo "the planted defect was not found: $planted" >&2
        exit 1
    fi
done
echo "the planted defects were found"
for name in base bpe checkpoint config decode index safetensors sink source templates vocab; do
    echo "test_$name"
    check "$build/tests/test_$name" >"$build/valgrind.log" 2>&1 ||
        { cat "$build/valgrind.log"; exit 1; }
done
echo "clipcu classify"
check "$build/clipcu" classify --device cpu --threads 1 --model "$source/weights/demo" \
    --classes "a guitar,a rocket" "$source/tests/data/emoji/guitar.jpg" \
    >"$build/valgrind.log" 2>&1 || { cat "$build/valgrind.log"; exit 1; }
grep -q guitar "$build/valgrind.log"
