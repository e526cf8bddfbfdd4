#!/bin/bash
# What `cmake --install` leaves behind is enough to build against: the program in clipcu.h's first
# comment is compiled through find_package(clipcu), through pkg-config and with clipcu as a
# subproject, and run where a model is there to run it with.
set -eu
: "${CLIPCU_SOURCE:?set by ctest}" "${CLIPCU_BUILD:?set by ctest}" "${CLIPCU_CC:=cc}"
: "${CLIPCU_CMAKE:=cmake}"
if test "${CLIPCU_SANITIZED:-0}" = 1; then
    echo "SKIPPED: a library built with sanitizers is not meant to be installed"
    exit 77
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
prefix=$folder/prefix

fail() {
    echo "FAILED: $*"
    exit 1
}

# quietly COMMAND...: its output is shown only when it fails
quietly() { "$@" > "$folder/log" 2>&1 || { cat "$folder/log"; fail "$*"; }; }

# ---- Install, and look at what is there ----------------------------------------------------------
quietly "$CLIPCU_CMAKE" --install "$CLIPCU_BUILD" --prefix "$prefix"
found=$(cd "$prefix" && find . -type f | sed 's|/lib/[a-z0-9_]*-linux-gnu[a-z0-9]*/|/lib/|' | sort)
for file in ./bin/clipcu ./include/clipcu.h ./lib/cmake/clipcu/clipcuConfig.cmake \
            ./lib/pkgconfig/clipcu.pc ./share/doc/clipcu/LICENSE ./share/man/man1/clipcu.1 \
            ./share/bash-completion/completions/clipcu ./share/zsh/site-functions/_clipcu \
            ./share/fish/vendor_completions.d/clipcu.fish; do
    echo "$found" | grep -qx "$file" || fail "$file was not installed"
done
test "$(find "$prefix" -name '*.h' | wc -l)" = 1 || fail "more than one header was installed"
if grep -rlI "$CLIPCU_SOURCE" "$prefix"; then fail "an installed text names the source folder"; fi
library=$(dirname "$(find "$prefix" -name libclipcu.so)")

# ---- The program in the header's first comment ---------------------------------------------------
mkdir "$folder/example"
sed -n '/^ \*     #include <clipcu.h>/,/^ \*     }$/ s/^ \* \{0,5\}//p' "$prefix/include/clipcu.h" \
    > "$folder/example/main.c"
grep -q '^}$' "$folder/example/main.c" || fail "clipcu.h's first comment holds no whole program"

cat > "$folder/example/CMakeLists.txt" <<'END'
cmake_minimum_required(VERSION 3.21)
project(example LANGUAGES C)
find_package(clipcu 0.1 REQUIRED)
add_executable(example main.c)
target_compile_options(example PRIVATE -Wall -Wextra -Werror)
target_link_libraries(example PRIVATE clipcu::clipcu)
END
quietly "$CLIPCU_CMAKE" -S "$folder/example" -B "$folder/example/build" \
    -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_C_COMPILER="$CLIPCU_CC"
quietly "$CLIPCU_CMAKE" --build "$folder/example/build"
echo "find_package(clipcu): built"

# A version that is not there must be refused.
sed 's/clipcu 0.1/clipcu 9.9/' "$folder/example/CMakeLists.txt" > "$folder/log.cmake"
mkdir "$folder/other"
mv "$folder/log.cmake" "$folder/other/CMakeLists.txt"
cp "$folder/example/main.c" "$folder/other/"
if "$CLIPCU_CMAKE" -S "$folder/other" -B "$folder/other/build" \
       -DCMAKE_PREFIX_PATH="$prefix" > "$folder/log" 2>&1; then
    fail "find_package(clipcu 9.9) was satisfied"
fi

if command -v pkg-config > /dev/null; then
    flags=$(PKG_CONFIG_PATH=$library/pkgconfig pkg-config --cflags --libs clipcu)
    # The flags are a list of words.
    # shellcheck disable=SC2086
    quietly "$CLIPCU_CC" -std=c11 -Wall -Wextra -Werror -o "$folder/example/by_pkgconfig" \
        "$folder/example/main.c" $flags
    echo "pkg-config clipcu: built"
else
    echo "no pkg-config: clipcu.pc was not tried"
fi

# ---- As a subproject: the tests and the install rules of clipcu stay out of the way --------------
mkdir "$folder/parent"
cp "$folder/example/main.c" "$folder/parent/"
cat > "$folder/parent/CMakeLists.txt" <<END
cmake_minimum_required(VERSION 3.21)
project(parent LANGUAGES C)
add_subdirectory("$CLIPCU_SOURCE" clipcu)
add_executable(example main.c)
target_link_libraries(example PRIVATE clipcu::clipcu)
get_target_property(standard example C_STANDARD)
if(CLIPCU_TESTS OR CLIPCU_INSTALL OR CLIPCU_NATIVE OR standard OR TARGET clipcu_test_support)
    message(FATAL_ERROR "clipcu behaves as if it stood alone")
endif()
END
quietly "$CLIPCU_CMAKE" -S "$folder/parent" -B "$folder/parent/build" \
    -DCMAKE_C_COMPILER="$CLIPCU_CC"
if grep -q 'build type' "$folder/log"; then fail "the subproject prints clipcu's summary"; fi
echo "add_subdirectory(clipcu): configured"

# ---- Run it --------------------------------------------------------------------------------------
if ! test -f "$CLIPCU_SOURCE/weights/demo/model.safetensors"; then
    echo "SKIPPED: no model in weights/demo to run the example with (it was built)"
    exit 77
fi
picture=$CLIPCU_SOURCE/tests/data/emoji/dog-face.jpg
mkdir -p "$folder/run/weights"
ln -s "$prefix/share/clipcu/demo" "$folder/run/weights/demo"
cp "$picture" "$folder/run/photo.jpg" # the engine looks at the contents, not at the name
for program in "$folder/example/build/example" "$folder/example/by_pkgconfig"; do
    test -x "$program" || continue
    said=$(cd "$folder/run" && LD_LIBRARY_PATH=$library "$program") || fail "$program: status $?"
    echo "$said" | grep -qE '^dog [0-9.]+ %$' || fail "$program said: $said"
done
echo "the example says: $said"

# The command finds what was installed with it, wherever that was moved to.
mv "$prefix" "$folder/moved"
"$folder/moved/bin/clipcu" info --format json --device cpu > "$folder/log" || fail "info: $?"
grep -qF "$(realpath "$folder/moved")/share/clipcu/demo\"" "$folder/log" ||
    fail "the installed command does not use its own demo model: $(cat "$folder/log")"
mv "$folder/moved" "$prefix"

# Without its picture it must fail and say which file is missing.
rm "$folder/run/photo.jpg"
if (cd "$folder/run" && LD_LIBRARY_PATH=$library "$folder/example/build/example") \
       2> "$folder/log"; then
    fail "the example succeeded without its picture"
fi
grep -q photo.jpg "$folder/log" || fail "the message names no file: $(cat "$folder/log")"
