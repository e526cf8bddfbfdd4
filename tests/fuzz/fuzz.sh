#!/bin/sh
# Looks for inputs that break a fuzz target: tests/fuzz/fuzz.sh BUILD_FOLDER SECONDS [TARGET...]
#
# BUILD_FOLDER was configured with -DCLIPCU_FUZZ=ON. What is found worth keeping is kept in
# BUILD_FOLDER/fuzz/TARGET (FUZZ_STATE: another folder than BUILD_FOLDER/fuzz), so that the next run
# goes on from there. An input that breaks a target is written to the same place as
# TARGET-crash-..., TARGET-timeout-..., TARGET-oom-... or TARGET-leak-...; exit status 1 then.
set -eu
build=$(cd "$1" && pwd)
seconds=$2
shift 2
here=$(cd "$(dirname "$0")" && pwd)
state=${FUZZ_STATE:-$build/fuzz}
if test $# = 0; then
    for source in "$here"/fuzz_*.c; do
        name=$(basename "$source" .c)
        set -- "$@" "${name#fuzz_}"
    done
fi

# Bytes of an input, and the dictionary.
settings() {
    case $1 in
    image) echo 8192 image ;;
    bank | config | prompt | safetensors | vocab) echo 4096 json ;;
    *) echo 2048 text ;;
    esac
}

status=0
for target; do
    set -- "$here/corpus/$target"
    test ! -d "$here/regressions/$target" || set -- "$@" "$here/regressions/$target"
    test "$target" != image || set -- "$@" "$here/../data/images"
    read -r bytes words <<LINE
$(settings "$target")
LINE
    mkdir -p "$state/$target"
    echo "$target: $seconds seconds"
    "$build/tests/fuzz/fuzz_$target" -max_total_time="$seconds" -max_len="$bytes" \
        -dict="$here/dict/$words.dict" -timeout=10 -rss_limit_mb=2048 -malloc_limit_mb=512 \
        -print_final_stats=1 -artifact_prefix="$state/$target-" "$state/$target" "$@" \
        >"$state/$target.log" 2>&1 || status=1
    grep -E 'stat::(number_of_executed_units|new_units_added)|SUMMARY|ERROR' "$state/$target.log" ||
        tail -n 5 "$state/$target.log"
done
exit "$status"
