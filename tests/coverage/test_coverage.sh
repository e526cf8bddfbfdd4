#!/bin/bash
# coverage.sh counts lines that ran, lines that did not and files that no program touched, and fails
# below the share it is asked for.
set -eu
"$CLIPCU_CC" --version | grep -q 'Free Software' || { echo "needs gcc"; exit 77; }
gcov=${GCOV:-gcov}
command -v "$gcov" >/dev/null || { echo "needs gcov"; exit 77; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
mkdir -p source/host/used source/host/idle build/host

cat >source/host/used/choose.c <<'C'
int choose(int n);
int choose(int n) {
    if (n > 1) {
        return 1;
    }
    n = n * 2;
    return n;
}
int main(int argc, char **argv) {
    (void)argv;
    return choose(argc + 1) - 1;
}
C
printf 'int idle(void);\nint idle(void) {\n    return 7;\n}\n' >source/host/idle/idle.c
for name in used/choose idle/idle; do
    "$CLIPCU_CC" --coverage -O0 -c "$folder/source/host/$name.c" -o "build/host/${name#*/}.o"
done
"$CLIPCU_CC" --coverage build/host/choose.o -o build/choose
build/choose

fail() {
    echo "$1" >&2
    cat output >&2
    exit 1
}

# Ran: lines 2, 3, 4, 8, 9, 11 of nine (6 and 7 did not), and none of the two of idle.c.
count() { "$CLIPCU_SOURCE/tests/coverage/coverage.sh" build host "$1" >output; }
if count 90; then fail "too few lines ran and it passes"; fi
count 50 || fail "more lines ran than it asks for and it fails"
grep -q '^ *0.0 % of *2 lines  host/idle/$' output || fail "a file that nothing touched is left out"
grep -q 'host/used/choose.c:6: not run' build/lines_not_run.txt || fail "a line that did not run"
if grep -q 'choose.c:4:' build/lines_not_run.txt; then fail "a line that ran is called not run"; fi
mkdir empty
if "$CLIPCU_SOURCE/tests/coverage/coverage.sh" empty host 0 >output 2>&1; then
    fail "nothing was counted and it passes"
fi
