#!/bin/sh
# Tests of a build with -DCLIPCU_TSAN=ON (clang, ThreadSanitizer): tests/sanitize/threads.sh BUILD
#
# The OpenMP runtime is not instrumented. LLVM's comes with a tool, archer, that tells the sanitizer
# about its barriers; ignore_noninstrumented_modules leaves out oneDNN, whose code is made at run
# time. A planted race has to be found, and a program without one has to pass, before the tests run.
set -eu
build=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
export TSAN_OPTIONS="ignore_noninstrumented_modules=1 halt_on_error=1"
export OMP_NUM_THREADS=4
"$build/tests/sanitize_planted" none >/dev/null ||
    { echo "SKIPPED: a program without a race fails: no archer for this OpenMP"; exit 0; }
for planted in race thread; do
    if "$build/tests/sanitize_planted" $planted >/dev/null 2>&1; then
        echo "the planted $planted was not found" >&2
        exit 1
    fi
done
echo "the planted races were found"
tests='agree_cpu|engine|model|golden|search|bank|page|sink|source|accuracy|int8'
tests="$tests|pipeline|pipeline_api"
"$here/../run.sh" "$build" 2 --tests-regex "^test_($tests|cli_search|cli_stages|cli_shards)$"
