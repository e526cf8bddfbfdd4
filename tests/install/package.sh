#!/bin/bash
# package.sh FOLDER: looks through the .deb that `make package` left there, unpacks it and runs what
# is in it. Part of `make test-full`; installs nothing.
set -eu
export LC_ALL=C
source=$(cd "$(dirname "$0")/../.." && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
root=$folder/root

fail() {
    echo "FAILED: $*"
    exit 1
}

test "$(find "$1" -maxdepth 1 -name '*.deb' | wc -l)" = 1 || fail "$1 does not hold one package"
package=$(find "$1" -maxdepth 1 -name '*.deb')
architecture=$(dpkg --print-architecture)
lib=usr/lib/$(dpkg-architecture -qDEB_HOST_MULTIARCH)

# ---- What it says of itself ----------------------------------------------------------------------
field() { dpkg-deb -f "$package" "$1"; }
version=$(awk '/^#define CLIPCU_VERSION_/ { printf "%s%s", dot, $3; dot = "." }' \
    "$source/include/clipcu.h")
test "$(field Package)" = clipcu || fail "it is called $(field Package)"
test "$(field Version)" = "$version" || fail "version $(field Version), expected $version"
test "$(field Architecture)" = "$architecture" || fail "architecture $(field Architecture)"
for needed in libc6 libdnnl libcjson libjpeg libpng libwebp libarchive; do
    field Depends | grep -q "$needed" || fail "it does not depend on $needed: $(field Depends)"
done
field Description | grep -q CLIP || fail "no description"
field Maintainer | grep -q '<.*@.*>' || fail "no maintainer"

# ---- What is in it -------------------------------------------------------------------------------
dpkg-deb -c "$package" > "$folder/list"
for file in usr/bin/clipcu usr/include/clipcu.h "$lib/libclipcu.so" "$lib/libclipcu.so.$version" \
            "$lib/pkgconfig/clipcu.pc" "$lib/cmake/clipcu/clipcuConfig.cmake" \
            usr/share/man/man1/clipcu.1.gz usr/share/bash-completion/completions/clipcu \
            usr/share/zsh/vendor-completions/_clipcu usr/share/doc/clipcu/copyright \
            usr/share/doc/clipcu/LICENSE usr/share/clipcu/demo/config.json; do
    grep -q " \./$file\( ->.*\)\?$" "$folder/list" || fail "$file is not in it"
done
grep -v ' root/root ' "$folder/list" && fail "these belong to somebody"
grep -E '^.{5}w|^.{8}w' "$folder/list" | grep -v '^l' && fail "anybody may write these"
grep -v ' \./usr/' "$folder/list" | grep -v ' \./$' && fail "these lie outside of /usr"
dpkg-deb -x "$package" "$root"
grep -rlF -e "$source" "$root" && fail "these name the source folder"
if test -f "$source/weights/demo/model.safetensors"; then
    cmp "$source/weights/demo/model.safetensors" "$root/usr/share/clipcu/demo/model.safetensors"
fi
if command -v lintian > /dev/null; then
    # One package on purpose: command, library and header together. cpack adds calls of ldconfig.
    # Nobody's address is in the sources.
    lintian --no-cfg --allow-root --fail-on error,warning --suppress-tags "$(echo \
        package-name-doesnt-match-sonames,link-to-shared-library-in-wrong-package, \
        maintscript-calls-ldconfig,bogus-mail-host,bogus-mail-host-in-debian-changelog |
        tr -d ' ')" "$package" ||
        fail "lintian complains"
    echo "lintian: no complaint"
else
    echo "lintian was not tried: not installed"
fi

# ---- Any processor of the kind runs it -----------------------------------------------------------
wide() { objdump -d --no-show-raw-insn "$1" | grep -cE '%[yz]mm' || true; }
loader=/lib64/ld-linux-x86-64.so.2
avx2=$root/$lib/glibc-hwcaps/x86-64-v3
if test "$architecture" = amd64; then
    for file in usr/bin/clipcu "$lib/libclipcu.so.$version"; do
        test "$(wide "$root/$file")" = 0 || fail "$file holds instructions that not all have"
    done
    for file in "$root/usr/libexec/clipcu/clipcu" "$avx2/libclipcu.so.$version"; do
        test "$(wide "$file")" -gt 1000 || fail "$file should be compiled for AVX2"
    done
fi

# ---- Run it --------------------------------------------------------------------------------------
model=$root/usr/share/clipcu/demo
pictures=$source/tests/data/emoji
if ! test -f "$model/model.safetensors"; then
    echo "SKIPPED: no model in weights/demo to run the package with (it was looked through)"
    exit 77
fi
best() { "$root/usr/bin/clipcu" classify --device cpu --quiet --format csv --top 1 \
             --labels "$pictures/labels.txt" "$pictures" > "$1" || fail "clipcu: status $?"; }
best "$folder/first"
grep -q 'octopus.png,octopus,' "$folder/first" || { cat "$folder/first"; fail "no octopus"; }
if test "$architecture" = amd64 && $loader --help | grep -q 'x86-64-v3 (supported'; then
    # The command goes over to the one for AVX2, and does its own work without.
    mv "$root/usr/libexec/clipcu/clipcu" "$folder/faster"
    best "$folder/second"
    cut -d , -f 1,2 "$folder/first" > "$folder/a"
    cut -d , -f 1,2 "$folder/second" > "$folder/b"
    cmp "$folder/a" "$folder/b" || fail "the two commands differ"
    printf '#!/bin/sh\necho gone over: "$@"\n' > "$root/usr/libexec/clipcu/clipcu"
    chmod +x "$root/usr/libexec/clipcu/clipcu"
    test "$("$root/usr/bin/clipcu" a 'b c')" = "gone over: a b c" || fail "it did not go over"
    mv "$folder/faster" "$root/usr/libexec/clipcu/clipcu"
    echo "clipcu: with and without AVX2"
else
    echo "clipcu: the commands for AVX2 were not tried"
fi

# ---- Build against it ----------------------------------------------------------------------------
cc -Wall -Wextra -Werror -I "$root/usr/include" "$source/examples/classify.c" \
    -o "$folder/classify" -L "$root/$lib" -lclipcu
export LD_LIBRARY_PATH=$root/$lib
said=$("$folder/classify" "$model" "$pictures/octopus.png" octopus guitar)
echo "$said" | head -1 | grep -q octopus || fail "classify.c said: $said"
if test "$architecture" = amd64 && $loader --help | grep -q 'x86-64-v3 (supported'; then
    LD_DEBUG=libs "$folder/classify" "$model" "$pictures/octopus.png" octopus 2>&1 > /dev/null |
        grep -q "calling init: $avx2/libclipcu.so" || fail "the library for AVX2 was not taken"
fi
echo "library: classify.c runs with it"
