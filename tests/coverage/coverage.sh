#!/bin/sh
# Which lines of a folder the tests of a build that counts them have run:
#
#   tests/coverage/coverage.sh BUILD_FOLDER host|kernels PERCENT_MIN
#
# The build has -DCLIPCU_COVERAGE=ON for host, -DCLIPCU_EMU_COVERAGE=ON for kernels. Prints a share
# of every folder and of the ten files with the smallest; the lines that nothing ran are listed in
# BUILD_FOLDER/lines_not_run.txt. Exit status 1 below PERCENT_MIN, or if nothing was counted.
set -eu
build=$(cd "$1" && pwd)
folder=$2
least=$3
here=$(cd "$(dirname "$0")" && pwd)
# By what was compiled, not by what ran: a file that no test touches counts as well.
notes=$(find "$build" -name '*.gcno' | grep "/$folder/") || {
    echo "$build: nothing of $folder/ was compiled to be counted" >&2
    exit 1
}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
echo "$notes" | tr '\n' '\0' | xargs -0 -n 1 "${GCOV:-gcov}" --stdout 2>/dev/null |
    awk -F : -v least="$least" -v folder="$folder" -v list="$build/lines_not_run.txt" \
        -f "$here/coverage.awk"
