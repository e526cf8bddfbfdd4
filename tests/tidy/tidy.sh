#!/bin/sh
# Checks the written rules of this code base: tests/tidy/tidy.sh [FOLDER]
# Prints one line per violation, "path:line: rule: what is wrong", and exits 1 if there is any.
# Exceptions, each with its reason, are in exempt.txt.
set -eu
export LC_ALL=C
rules=$(cd "$(dirname "$0")" && pwd)
cd "${1:-$rules/../..}"
exempt=$PWD/tests/tidy/exempt.txt
test -f "$exempt" || exempt=/dev/null

files() { # files NAME_PATTERN...: what is in the repository and matches
    names=''
    for pattern in "$@"; do names="$names -o -name $pattern"; done
    set -f
    find . \( -name .git -o -path './build*' -o -name __pycache__ \) -prune \
        -o -type f \( ${names# -o } \) -print | sed 's|^\./||' | sort
    set +f
}

# on FILES PROGRAM: runs a rule file over a list of files
on() {
    test -z "$1" || echo "$1" | tr '\n' '\0' | xargs -0 awk -v exempt_file="$exempt" -f "$rules/$2"
}

# Every op of the table has its file on both backends and is compared with the reference.
check_ops() {
    test -f host/ops/ops.h || return 0
    awk '/^ *void \(\*[a-z_]+\)\(ccu_backend \*be, const ccu_[a-z_]+ \*op\);/ {
        name = $2; sub(/^\(\*/, "", name); sub(/\).*/, "", name)
        print FNR, name
    }' host/ops/ops.h | while read -r line op; do
        test -f "host/ops/$op.c" ||
            echo "host/ops/ops.h:$line: op-file: $op has no file host/ops/$op.c"
        test ! -f kernels/cuda_backend.cu || test -f "kernels/$op.cu" ||
            echo "host/ops/ops.h:$line: op-kernel: $op has no file kernels/$op.cu"
        grep -rqE -e "->$op\(" tests/agree tests/support 2>/dev/null ||
            echo "host/ops/ops.h:$line: op-test: no agree case calls ops->$op"
    done
}

# An exception that excuses nothing any more is removed.
check_exempt() {
    awk '!/^#/ && NF { print FNR, NF, $2 }' "$exempt" | while read -r line fields path; do
        test -f "$path" || echo "tests/tidy/exempt.txt:$line: stale-exemption: no file $path"
        test "$fields" -gt 2 || echo "tests/tidy/exempt.txt:$line: stale-exemption: no reason"
    done
}

# A version is written down twice: in CMakeLists.txt and in the header.
check_version() {
    test -f CMakeLists.txt && test -f include/clipcu.h || return 0
    built=$(sed -n 's/^project(clipcu VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)
    header=$(awk '/^#define CLIPCU_VERSION_/ { printf "%s%s", dot, $3; dot = "." }' \
        include/clipcu.h)
    test "$built" = "$header" ||
        echo "include/clipcu.h:1: version: $header, but CMakeLists.txt says $built"
}

# What CMake asks for is what `make deps` installs.
check_deps() {
    test -f cmake/Dependencies.cmake || return 0
    awk '/^clipcu_require\(/ { sub(/\).*/, ""); print FNR, $NF }' cmake/Dependencies.cmake |
    while read -r line package; do
        grep -q "|$package|" cmake/deps.sh ||
            echo "cmake/Dependencies.cmake:$line: dependency: cmake/deps.sh lacks $package"
    done
}

sources=$(files '*.c' '*.h' '*.cu' '*.cuh' '*.cpp')
texts=$(files '*.c' '*.h' '*.cu' '*.cuh' '*.cpp' '*.sh' '*.awk' '*.py' '*.cmake' '*.in' '*.md' \
              '*.css' '*.js' '*.html' CMakeLists.txt Makefile run exempt.txt)
pages=$(files '*.md')
found=$({
    on "$sources" c.awk
    on "$texts" text.awk
    on "$pages" links.awk
    check_ops
    check_exempt
    check_version
    check_deps
} | sort -t: -k1,1 -k2,2n)
test -z "$found" && exit 0
echo "$found"
exit 1
