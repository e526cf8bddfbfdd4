#!/bin/sh
# Finds out what building and testing clipcu needs and this machine lacks, and installs it where
# apt-get can. Called by `make deps`; looks only (well under a second) when nothing is missing.
#
#   cmake/deps.sh           look, install what is missing, look again
#   cmake/deps.sh --check   look only: print what is missing, exit 1 if anything is
#
# Headers are looked for with the compiler, not with the package manager, so that libraries built
# by hand and other distributions count too.
set -u
export LC_ALL=C

# what it is | Debian, Ubuntu | Fedora | Arch
table='
compiler|gcc|gcc|gcc
libc|libc6-dev|glibc-devel|glibc
openmp|libomp-dev|libomp-devel|openmp
bash|bash|bash|bash
cmake|cmake|cmake|cmake
builder|make|make|make
onednn|libdnnl-dev|onednn-devel|onednn
cjson|libcjson-dev|cjson-devel|cjson
utf8proc|libutf8proc-dev|utf8proc-devel|libutf8proc
jpeg|libjpeg-dev|libjpeg-turbo-devel|libjpeg-turbo
png|libpng-dev|libpng-devel|libpng
gif|libgif-dev|giflib-devel|giflib
webp|libwebp-dev|libwebp-devel|libwebp
zlib|zlib1g-dev|zlib-devel|zlib
archive|libarchive-dev|libarchive-devel|libarchive
cmocka|libcmocka-dev|libcmocka-devel|cmocka
'
cmake_min=3.21

have() { command -v "$1" >/dev/null 2>&1; }

# The compiler CMake will take: $CC, or the first of its usual names.
compiler() {
    for name in "${CC:-cc}" cc gcc clang; do
        if have "$name"; then echo "$name"; return; fi
    done
}

# has_header HEADER [FLAG...]: the compiler finds <HEADER>
has_header() {
    header=$1
    shift
    test -n "$cc" && printf '#include <%s>\n' "$header" |
        "$cc" ${CPPFLAGS:-} "$@" -E -x c - >/dev/null 2>&1
}

cmake_is_new_enough() {
    have cmake || return 1
    cmake --version | awk -v least="$cmake_min" 'NR == 1 {
        split($3, found, "."); split(least, want, ".")
        exit !(found[1] + 0 > want[1] || (found[1] == want[1] && found[2] + 0 >= want[2]))
    }'
}

is_there() {
    case $1 in
    compiler) test -n "$cc" ;;
    libc)     has_header stdlib.h ;;
    openmp)   test -z "$cc" || has_header omp.h -fopenmp ;; # gcc brings it, clang does not
    bash)     have bash ;;
    cmake)    cmake_is_new_enough ;;
    builder)  have ninja || have make ;;
    onednn)   has_header dnnl.h ;;
    cjson)    has_header cjson/cJSON.h ;;
    utf8proc) has_header utf8proc.h ;;
    jpeg)     has_header jpeglib.h ;;
    png)      has_header png.h ;;
    gif)      has_header gif_lib.h ;;
    webp)     has_header webp/demux.h ;;
    zlib)     has_header zlib.h ;;
    archive)  has_header archive.h ;;
    cmocka)   has_header cmocka.h ;;
    esac
}

# Sets $missing to the names from the table that were not found.
look() {
    cc=$(compiler)
    missing=''
    for row in $table; do
        is_there "${row%%|*}" || missing="$missing ${row%%|*}"
    done
}

# packages COLUMN: the package names of what is missing
packages() {
    for name in $missing; do
        printf ' %s' "$(echo "$table" | grep "^$name|" | cut -d '|' -f "$1")"
    done
}

as_root() {
    if test "$(id -u)" = 0; then
        "$@"
    else
        sudo -n "$@"
    fi
}

can_be_root() { test "$(id -u)" = 0 || { have sudo && sudo -n true 2>/dev/null; }; }

say_what_to_install() {
    if have apt-get; then
        echo "  sudo apt-get install$(packages 2)"
    elif have dnf; then
        echo "  sudo dnf install$(packages 3)"
    elif have pacman; then
        echo "  sudo pacman -S$(packages 4)"
    else
        echo "  the packages that hold:$missing (Debian calls them$(packages 2))"
    fi
}

look
test -z "$missing" && exit 0
echo "missing:$missing (cmake: $cmake_min or newer)"
test "${1:-}" = --check && exit 1

if have apt-get && can_be_root; then
    echo "installing:$(packages 2)"
    log=$(mktemp)
    # An update that fails (no network) is no reason to stop: the lists at hand may do.
    as_root apt-get -qq -o Acquire::Retries=2 update > "$log" 2>&1 || tail -n 3 "$log"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o Acquire::Retries=2 \
        -o DPkg::Lock::Timeout=300 install --no-install-recommends $(packages 2) \
        > "$log" 2>&1 || tail -n 3 "$log"
    rm -f "$log"
    look
fi

if test -n "$missing"; then
    echo "clipcu needs:"
    say_what_to_install
    exit 1
fi
