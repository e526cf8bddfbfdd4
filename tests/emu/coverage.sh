#!/bin/sh
# Which lines of kernels/ the tests of a build with -DCLIPCU_EMU_COVERAGE=ON have run:
#
#   tests/emu/coverage.sh BUILD_FOLDER [PERCENT_MIN]
#
# Prints a line per file, then the lines that nothing ran. Exit status 1 below PERCENT_MIN (95).
set -eu
build=$(cd "$1" && pwd)
least=${2:-95}
here=$(cd "$(dirname "$0")" && pwd)
counts=$(find "$build/tests/emu/CMakeFiles/emu_kernels_plain.dir" -name '*.gcda' | grep '/kernels/')
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
# A template's lines come once per instance, a header's once per file that includes it.
echo "$counts" | tr '\n' '\0' | xargs -0 -n 1 "${GCOV:-gcov}" --stdout 2>/dev/null |
    awk -F : -v least="$least" -f "$here/coverage.awk"
