#!/bin/bash
# The programs in examples/ build against an installed clipcu, as their first comments say, and
# answer what the command answers.
set -eu
: "${CLIPCU_SOURCE:?set by ctest}" "${CLIPCU_BUILD:?set by ctest}" "${CLIPCU:?set by ctest}"
: "${CLIPCU_CC:=cc}" "${CLIPCU_CMAKE:=cmake}"
if test "${CLIPCU_SANITIZED:-0}" = 1; then
    echo "SKIPPED: a library built with sanitizers is not meant to be installed"
    exit 77
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
prefix=$folder/prefix
export LC_ALL=C

fail() {
    echo "FAILED: $*"
    exit 1
}

# quietly COMMAND...: its output is shown only when it fails
quietly() { "$@" > "$folder/log" 2>&1 || { cat "$folder/log"; fail "$*"; }; }

# near FILE FILE: the same words, and numbers that differ by less than 0.01
near() {
    test -s "$1" && paste -d ',' "$1" "$2" | awk -F , '
        NF != 2 * int(NF / 2) { exit 1 }
        {
            for (i = 1; i <= NF / 2; i++) {
                difference = $i - $(i + NF / 2)
                if ($i ~ /^-?[0-9.]+$/ ? difference ^ 2 >= 0.0001 : $i != $(i + NF / 2)) { exit 1 }
            }
        }'
}
printf 'dog,0.501\ncat,0.25\n' > "$folder/a"
printf 'dog,0.502\ncat,0.25\n' > "$folder/b"
near "$folder/a" "$folder/b" || fail "self-check: near results differ"
for wrong in 'dog,0.521\ncat,0.25' 'dot,0.501\ncat,0.25' 'dog,0.501' ''; do
    printf '%b' "$wrong" > "$folder/b"
    if near "$folder/a" "$folder/b"; then fail "self-check: $wrong went through"; fi
done

# ---- Build: with CMake, and by the line in each file's first comment -----------------------------
quietly "$CLIPCU_CMAKE" --install "$CLIPCU_BUILD" --prefix "$prefix"
library=$(dirname "$(find "$prefix" -name libclipcu.so)")
export LD_LIBRARY_PATH=$library
cp -r "$CLIPCU_SOURCE/examples" "$folder/"
cd "$folder/examples"
quietly "$CLIPCU_CMAKE" -S . -B build -DCMAKE_PREFIX_PATH="$prefix" \
    -DCMAKE_C_COMPILER="$CLIPCU_CC" -DCMAKE_C_FLAGS="-Wall -Wextra -Wpedantic -Wshadow -Werror"
quietly "$CLIPCU_CMAKE" --build build
cc() { "$CLIPCU_CC" -std=c11 -Wall -Wextra -Werror "$@"; }
if command -v pkg-config > /dev/null; then
    export PKG_CONFIG_PATH=$library/pkgconfig
    for name in classify search stream; do
        line=$(sed -n 's/^ \*  *\(cc .*\)/\1/p' $name.c)
        test -n "$line" || fail "$name.c does not say how to compile it"
        eval "$line" || fail "$line"
        cmp -s $name.c "$CLIPCU_SOURCE/examples/$name.c" || fail "$line: changed the source"
        test -x $name || fail "$line: made no program"
    done
else
    echo "no pkg-config: the examples were built with CMake only"
    cp build/classify build/search build/stream .
fi
echo "examples: built"

# ---- Classify ------------------------------------------------------------------------------------
model=$prefix/share/clipcu/demo
if ! test -f "$model/model.safetensors"; then
    echo "SKIPPED: no model in weights/demo to run the examples with (they were built)"
    exit 77
fi
pictures=$CLIPCU_SOURCE/tests/data/emoji
words="dog face,octopus,guitar"
clipcu() { "$CLIPCU" "$@" --model "$model" --device cpu --quiet --format csv; }
for pair in ./classify:dog-face.jpg build/classify:guitar.jpg; do
    picture=$pictures/${pair#*:}
    ${pair%:*} "$model" "$picture" "dog face" octopus guitar > said || fail "$pair: $?"
    awk '{ p = $1 / 100; sub(/^ *[0-9.]+ % +/, ""); print $0 "," p }' said > mine
    clipcu classify "$picture" --classes "$words" |
        awk -F , 'NR == 2 { for (i = 2; i < 11; i += 3) print $i "," $(i + 1) }' > theirs
    near mine theirs || { cat said theirs; fail "$pair and clipcu classify differ"; }
done
if ./classify "$model" missing.jpg dog 2> said; then fail "classify took a missing picture"; fi
grep -q 'missing.jpg' said || fail "classify does not name the missing picture: $(cat said)"
echo "classify: as the command"

# ---- Search --------------------------------------------------------------------------------------
quietly "$CLIPCU" embed "$pictures" -o vectors --model "$model" --device cpu
clipcu search vectors --query "red apple" --top 5 |
    awk -F , 'NR > 1 { print $3 "," $4 }' > theirs
for program in ./search build/search; do
    $program "$model" vectors.npy "red apple" > said || fail "$program: $?"
    awk '{ print $1 "," $2 }' said > mine
    near mine theirs || { cat said theirs; fail "$program and clipcu search differ"; }
done
if ./search "$model" missing.npy dog 2> said; then fail "search took missing embeddings"; fi
grep -q 'missing.npy' said || fail "search does not name the missing file: $(cat said)"
echo "search: as the command"

# ---- Stream --------------------------------------------------------------------------------------
clipcu classify "$pictures"/*.jpg --classes "$words" |
    awk -F , 'NR > 1 { print $1 "," $2 "," $3 }' > theirs
for program in ./stream build/stream; do
    printf '%s\n' "$pictures"/*.jpg | $program "$model" "dog face" octopus guitar |
        tr '\t' ',' > mine
    near mine theirs || { cat mine theirs; fail "$program and clipcu classify differ"; }
done
status=0
printf 'missing.jpg\n%s\n' "$pictures/guitar.jpg" | ./stream "$model" guitar > mine 2> said ||
    status=$?
test "$status" = 2 || fail "stream: status $status for one picture of two"
grep -q 'missing.jpg' said || fail "stream does not name the missing picture: $(cat said)"
test "$(wc -l < mine)" = 1 || fail "stream: one picture of two should be left"
echo "stream: as the command"

# ---- Python --------------------------------------------------------------------------------------
if ! python3 -c 'import ctypes' 2> /dev/null; then
    echo "no python3: examples/classify.py was not tried"
    exit 0
fi
python3 classify.py "$model" "$words" "$pictures"/*.jpg | tr '\t' ',' > mine ||
    fail "classify.py: $?"
clipcu classify "$pictures"/*.jpg --classes "$words" |
    awk -F , 'NR > 1 { print $1 "," $2 "," $3 }' > theirs
near mine theirs || { cat mine theirs; fail "classify.py and clipcu classify differ"; }
status=0
python3 classify.py "$model" "$words" classify.py "$pictures/dog-face.jpg" > mine 2> said ||
    status=$?
test "$status" = 2 || fail "classify.py: status $status for one picture of two"
grep -q '^classify.py: ' said || fail "classify.py does not name the file: $(cat said)"
test "$(wc -l < mine)" = 1 || fail "classify.py: one picture of two should be left"

# Its structs are those of the header: sizes as the compiler sees them.
cat > sizes.c <<'END_OF_C'
#include <clipcu.h>
#include <stdio.h>
int main(void) {
    printf("%zu %zu %zu %zu\n", sizeof(clipcu_error), sizeof(clipcu_options), sizeof(clipcu_info),
           sizeof(clipcu_match));
    return 0;
}
END_OF_C
quietly "$CLIPCU_CC" -I "$prefix/include" sizes.c -o sizes
python=$(python3 -c '
import ctypes, classify
print(*map(ctypes.sizeof, [classify.Error, classify.Options, classify.Info, classify.Match]))')
test "$python" = "$(./sizes)" || fail "structs of classify.py: $python bytes, not $(./sizes)"
echo "classify.py: as the command"
if ! python3 -c 'import numpy' 2> /dev/null; then
    echo "no NumPy: examples/stream.py was not tried"
    exit 0
fi
python3 stream.py "$model" rows.npy "$pictures"/*.jpg || fail "stream.py: $?"
quietly "$CLIPCU" embed "$pictures"/*.jpg -o theirs --model "$model" --device cpu
python3 -c '
import numpy
mine, theirs = numpy.load("rows.npy"), numpy.load("theirs.npy")
assert mine.shape == theirs.shape and mine.dtype == theirs.dtype
assert numpy.abs(mine - theirs).max() < 1e-5' || fail "stream.py and clipcu embed differ"
status=0
python3 stream.py "$model" rows.npy stream.py "$pictures/guitar.jpg" 2> said || status=$?
test "$status" = 2 || fail "stream.py: status $status for one picture of two"
python3 -c '
import numpy
rows = numpy.load("rows.npy")
assert numpy.isnan(rows[0]).all() and not numpy.isnan(rows[1]).any()' || fail "stream.py: NaN rows"
echo "stream.py: as the command"
