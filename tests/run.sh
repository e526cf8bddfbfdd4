#!/bin/sh
# Runs the tests of a build folder and closes with one line: N passed, N failed, N skipped.
#
#   tests/run.sh BUILD_FOLDER [PARALLEL [CTEST_OPTION...]]
#
# Exit status 1 if a test failed or none ran.
set -u
build=$1
parallel=${2:-2}
test $# -ge 2 && shift
shift
here=$(dirname "$0")
report=$(cd "$build" && pwd)/tests.xml || exit 1

rm -f "$report"
# Sizes: ctest keeps the first kilobyte of what a test prints, and the counts stand at the end.
ctest --test-dir "$build" --output-on-failure --no-tests=error --parallel "$parallel" \
    --output-junit "$report" --test-output-size-passed 4000000 \
    --test-output-size-failed 4000000 "$@"
status=$?
awk -f "$here/summary.awk" "$report" || status=1
exit "$status"
