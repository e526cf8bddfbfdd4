#!/bin/sh
# What clipcu shows to the outside: clipcu.h compiles alone as C11 and as C++17, every header of the
# library compiles alone, and the shared library exports what clipcu.h declares and nothing else.
set -eu
export LC_ALL=C
: "${CLIPCU_SOURCE:=$(cd "$(dirname "$0")/../.." && pwd)}" "${CLIPCU_CC:=cc}"
: "${CLIPCU_LIBRARY:=$CLIPCU_SOURCE/build/libclipcu.so}"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
failed=0

fail() {
    echo "FAILED: $*"
    failed=1
}

# ---- Headers alone -----------------------------------------------------------------------------
# compiles COMPILER LANGUAGE STANDARD HEADER: included twice, with every warning an error
compiles() {
    printf '#include "%s"\n#include "%s"\n' "$4" "$4" |
        "$1" -x "$2" -std="$3" -Wall -Wextra -Wpedantic -Werror -fsyntax-only \
             -D_POSIX_C_SOURCE=200809L -I "$CLIPCU_SOURCE/include" -I "$CLIPCU_SOURCE/host" -
}

compiles "$CLIPCU_CC" c c11 clipcu.h || fail "clipcu.h alone as C11"
if test -n "${CLIPCU_CXX:-}"; then
    compiles "$CLIPCU_CXX" c++ c++17 clipcu.h || fail "clipcu.h alone as C++17"
else
    echo "no C++ compiler: clipcu.h was not tried as C++17"
fi
for header in $(cd "$CLIPCU_SOURCE/host" && find . -name '*.h' | sort); do
    compiles "$CLIPCU_CC" c c11 "${header#./}" || fail "${header#./} alone"
done

echo 'clipcu_status clipcu_lost(clipcu_missing *none);' > "$folder/wrong.h"
if compiles "$CLIPCU_CC" c c11 "$folder/wrong.h" 2>/dev/null; then
    fail "a header with unknown types went through"
fi

# ---- Symbols -----------------------------------------------------------------------------------
# Functions that a header declares with CLIPCU_API, one a line.
declared() {
    grep -v '^#' "$1" | tr '\n' ' ' | grep -oE 'CLIPCU_API [^(;]*\(' |
        sed 's/($//; s/ *$//; s/.*[ *]//' | sort
}

# Symbols that a library defines for others, without those of the sanitizers.
exported() {
    nm -D --defined-only "$1" | awk '{ print $NF }' | sed 's/@.*//' |
        grep -vE '^(__odr_asan|__asan_|__start_asan|__stop_asan|_init$|_fini$)' | sort
}

# same_symbols HEADER LIBRARY: prints the difference
same_symbols() {
    declared "$1" > "$folder/declared"
    exported "$2" > "$folder/exported"
    test -s "$folder/declared" && diff "$folder/declared" "$folder/exported"
}

if test -f "$CLIPCU_LIBRARY"; then
    same_symbols "$CLIPCU_SOURCE/include/clipcu.h" "$CLIPCU_LIBRARY" ||
        fail "clipcu.h declares (<) and the library exports (>)"
    grep -v '^clipcu_' "$folder/exported" && fail "exported without the clipcu_ prefix"
else
    fail "no library at $CLIPCU_LIBRARY"
fi

# The comparison sees a function too many and one too few.
cat > "$folder/api.h" <<'END'
CLIPCU_API int clipcu_a(int x);
CLIPCU_API CLIPCU_CHECKED const char *
                          clipcu_b(void);
END
library() { # NAME...: a library that exports these functions
    for name in "$@"; do echo "int $name(void); int $name(void) { return 1; }"; done |
        "$CLIPCU_CC" -shared -fPIC -x c -o "$folder/library.so" -
}
library clipcu_a clipcu_b
same_symbols "$folder/api.h" "$folder/library.so" || fail "two equal sets of symbols differ"
library clipcu_a clipcu_b strange
if same_symbols "$folder/api.h" "$folder/library.so" >/dev/null; then fail "one symbol too many"; fi
library clipcu_a
if same_symbols "$folder/api.h" "$folder/library.so" >/dev/null; then fail "one symbol too few"; fi
exit "$failed"
