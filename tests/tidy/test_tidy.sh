#!/bin/sh
# The repository follows its written rules (tidy.sh), and tidy.sh finds what it claims to find: each
# rule is shown a violation planted in a small tree that is clean otherwise.
set -eu
export LC_ALL=C
here=$(cd "$(dirname "$0")" && pwd)
tree=$(mktemp -d)
trap 'rm -rf "$tree" "$tree".*' EXIT
failed=0

fail() {
    echo "FAILED: $*"
    failed=1
}

# put PATH: standard input becomes that file of the tree
put() {
    mkdir -p "$tree/$(dirname "$1")"
    cat > "$tree/$1"
}

# A tree without violations, and full of what only looks like one.
plant_clean_tree() {
    put tests/tidy/exempt.txt <<'END'
# rule path reason
END
    put CMakeLists.txt <<'END'
project(clipcu VERSION 1.2.3 LANGUAGES C)
END
    put cmake/Dependencies.cmake <<'END'
clipcu_require(one.h one libone-dev)
END
    put cmake/deps.sh <<'END'
one|libone-dev|one-devel
END
    put include/clipcu.h <<'END'
/* The header. */
#ifndef CLIPCU_H
#define CLIPCU_H
#define CLIPCU_VERSION_MAJOR 1
#define CLIPCU_VERSION_MINOR 2
#define CLIPCU_VERSION_PATCH 3
#ifdef __cplusplus
extern "C" {
#endif
typedef struct clipcu_engine clipcu_engine;
struct clipcu_pair { int a, b; };
enum { CLIPCU_ANSWER = 42 };
__attribute__((format(printf, 1, 2))) int clipcu_say(const char *format, ...);
#ifdef __cplusplus
}
#endif
#endif
END
    put host/base/a.h <<'END'
/* A header. */
#ifndef CCU_BASE_A_H
#define CCU_BASE_A_H
extern const char *const ccu_names[2];
int *ccu_find(int (*match)(int));
#endif
END
    put host/base/a.c <<'END'
/* malloc( in a comment, strcpy( too */
#define _GNU_SOURCE
#include "base/a.h"

#include <stdio.h>
#include <stdlib.h>

#include "clipcu.h"

const char *const ccu_names[2] = { "printf(\"x\")", "'" };
static const int  table[]      = { 1, 2 };
static int (*const picked)(const char *) = puts;
#define TWICE(x) ((x) + (x))
_Static_assert(sizeof(int) == 4, "abort()");

int *ccu_find(int (*match)(int)) {
    static const char quotes[] = { '"', '\'', '{' };
    int *memory = malloc(sizeof *memory); // exit(1) is not called here
    if (memory == NULL) { return NULL; }
    for (int i = 0; i < 2; i++) {
        if (match(table[i]) == 0 &&
            quotes[0] == '"') {
            *memory = TWICE(i);
        } else if (i > 0) {
            free(memory);
        } else {
            do { i++; } while (i < 2);
        }
    }
    return memory;
}
END
    put host/ops/ops.h <<'END'
/* The table. */
#ifndef CCU_OPS_OPS_H
#define CCU_OPS_OPS_H
#include "base/a.h"
struct ccu_ops {
    void (*halve)(ccu_backend *be, const ccu_halve *op);
    void (*free)(ccu_backend *be);
};
#endif
END
    put host/ops/halve.c <<'END'
/* Halves. */
#include "ops/ops.h"
void ccu_release(const struct ccu_ops *ops) {
    ops->free(0);
}
END
    put host/image/decode_jpeg.c <<'END'
/* May jump. */
#include <setjmp.h>
int ccu_jump(jmp_buf where) {
    return setjmp(where);
}
END
    put host/image/decode_png.c <<'END'
/* May jump too. */
#include <setjmp.h>
void ccu_jump_back(jmp_buf where) {
    longjmp(where, 1);
}
END
    put host/cli/main.c <<'END'
/* Prints. */
#include <clipcu.h>
#include <stdio.h>
int main(void) {
    return fprintf(stderr, "%d\n", CLIPCU_ANSWER) < 0;
}
END
    put tests/agree/test_halve.c <<'END'
/* Tests may keep state. */
#include "ops/ops.h"
static int calls;
int main(void) {
    ops->halve(0, 0);
    return calls;
}
END
    put README.md <<'END'
# A `title`, with (signs)

[itself](#a-title-with-signs), [again](#twice-1), [a file](host/base/a.c), [a folder](host/),
[a site](https://example.org/x), `[no](link)`, `host/base/a.c`, [named][one].

## Twice
```
[not](a-link)
# not a heading
```
## Twice

[one]: docs/page.md#part
END
    put docs/page.md <<'END'
# Part
[back](../README.md#twice)
END
}

# expect RULE PATH [LINE]: the next call of found_all must see that
expect() {
    echo "$1 $2 ${3:-[0-9]*}" >> "$tree.expected"
    tried="$tried $1"
}

# tidy.sh reports all that is expected of the tree as it was changed. The tree is made clean again.
found_all() {
    if "$here/tidy.sh" "$tree" > "$tree.found" 2>&1; then
        fail "exit status 0 with: $(cat "$tree.expected")"
    fi
    while read -r rule path line; do
        if ! grep -q "^$path:$line: $rule: " "$tree.found"; then
            fail "$rule in $path:$line was not found; found was:"
            cat "$tree.found"
        fi
    done < "$tree.expected"
    rm -rf "$tree" "$tree.found" "$tree.expected"
    cp -r "$tree.clean" "$tree"
}

# last PATH: the number of the last line
last() { wc -l < "$tree/$1" | tr -d ' '; }

# with PATH: standard input is added to that file of the tree
with() { cat >> "$tree/$1"; }

lines() { awk -v n="$1" -v text="$2" 'BEGIN { while (n-- > 0) { print text } }'; }

tried=''
plant_clean_tree
"$here/tidy.sh" "$tree" || fail "the clean tree is not clean"
cp -r "$tree" "$tree.clean"

# ---- Sizes and text --------------------------------------------------------------------------
wide=$(awk 'BEGIN { while (n++ < 99) { printf "x" } }')
lines 495 '/* x */' | with host/base/a.c; expect file-length host/base/a.c
{ echo 'int ccu_f(void) {'; lines 69 '    ;'; echo '}'; } | with host/base/a.h
expect function-length host/base/a.h
{ echo '/* K. */'; echo 'void f(void) {'; lines 99 '    ;'; echo '}'; } | put kernels/a.cu
expect function-length kernels/a.cu
for file in host/ops/halve.c cmake/a.cmake cmake/a.sh weights/a.py tests/a.awk Makefile; do
    echo "# $wide" | put "$file"; expect line-length "$file"
done
printf '/* \t */\n' | with host/base/a.c; expect tab host/base/a.c
printf '/* x */ \n' | with host/base/a.c; expect trailing-space host/base/a.c
printf 'text \n' | with README.md; expect trailing-space README.md
printf '/* x */\r\n' | with host/base/a.c; expect line-end host/base/a.c
printf '/* %s later */\n' TO'DO' | with host/base/a.c; expect open-end host/base/a.c
printf 'see /%s/main\n' wo'rk' | with README.md; expect machine-path README.md
printf 'see is%s #12\n' sue | with README.md; expect inside-talk README.md
found_all

# ---- Links -----------------------------------------------------------------------------------
while IFS= read -r line; do
    echo "$line" | with README.md
    expect dead-link README.md "$(last README.md)"
done <<'END'
[x](nowhere.md)
[x](#nothing)
[x](docs/page.md#nothing)
![x](docs/picture.png "title")
<img src="docs/picture.png">
[two]: docs/none.md
END
echo '[x](../README.md#nothing)' | with docs/page.md; expect dead-link docs/page.md
echo '`host/base/gone.c`' | with README.md; expect dead-path README.md
found_all

# ---- Preprocessor ----------------------------------------------------------------------------
echo 'int a;' | put host/base/b.c; expect first-comment host/base/b.c
echo '#if 0' | with host/ops/halve.c; expect if-0 host/ops/halve.c
printf '/* H. */\n#ifndef B_H\n#define B_H\n#endif\n' | put host/base/b.h
expect guard host/base/b.h
printf '/* H. */\n#pragma once\n' | put host/base/c.h; expect guard host/base/c.h
printf '/* H. */\nint ccu_b(void);\n' | put host/base/d.h; expect guard host/base/d.h
printf '/* C. */\n#include <stdio.h>\n#include "base/a.h"\n' | put host/base/a.c
expect own-header-first host/base/a.c
echo '#include "base/none.h"' | with host/base/a.c; expect include host/base/a.c
echo '#include <base/a.h>' | with host/ops/halve.c; expect include host/ops/halve.c
echo '#include "ops/halve.c"' | with tests/agree/test_halve.c
expect include-code tests/agree/test_halve.c
found_all

# ---- Include direction: source, header it must not see -----------------------------------------
while read -r source header; do
    guard=CCU_$(echo "$header" | tr '[:lower:]/.' '[:upper:]__')
    printf '/* H. */\n#ifndef %s\n#define %s\n#endif\n' "$guard" "$guard" | put "host/$header"
    test -f "$tree/$source" || echo '/* New. */' | put "$source"
    echo "#include \"$header\"" | with "$source"
    expect include-direction "$source" "$(last "$source")"
done <<'END'
host/base/b.c ops/b.h
host/checkpoint/b.c image/b.h
host/image/b.c text/b.h
host/text/b.c ops/b.h
host/ops/b.c checkpoint/b.h
host/ops/b.c model/b.h
host/model/b.c bank/b.h
host/bank/b.c stream/b.h
host/stream/b.c cli/b.h
host/stream/b.c b.h
host/engine.c cli/b.h
host/cli/b.c model/b.h
host/cli/b.c b.h
kernels/b.cu model/b.h
kernels/b.cu ops/b.h
END
found_all

# ---- Calls: where, what ------------------------------------------------------------------------
while read -r source call; do
    test -f "$tree/$source" || echo '/* New. */' | put "$source"
    printf 'int ccu_f(void) {\n    return 1;\n}\nint ccu_g = %s;\n' "$call" | with "$source"
    expect banned-call "$source" "$(last "$source")"
done <<'END'
host/ops/halve.c malloc(1)
host/ops/halve.c calloc(1, 1)
host/ops/halve.c realloc(a, 1)
host/ops/halve.c free(a)
host/ops/halve.c aligned_alloc(1, 1)
host/ops/halve.c strdup(a)
host/cli/main.c malloc(1)
host/base/a.c printf("a")
host/base/a.c fprintf(stderr, "a")
host/base/a.c fputs("a", stdout)
host/engine.c puts("a")
host/stream/a.c exit(1)
kernels/a.cu abort()
host/base/a.c _exit(1)
host/base/a.c strcpy(a, b)
host/base/a.c strcat(a, b)
host/base/a.c sprintf(a, b)
host/base/a.c vsprintf(a, b, c)
host/base/a.c gets(a)
tests/agree/test_halve.c atoi (a)
host/cli/main.c atof(a)
host/base/a.c strtok(a, b)
host/cli/main.c system(a)
host/base/a.c alloca(1)
host/base/a.c rand()
host/base/a.c setjmp(a)
host/base/a.c longjmp(a, 1)
host/image/decode_gif.c setjmp(a)
host/image/decode_jpeg.c malloc(1)
END
found_all

# ---- Shape of the code -------------------------------------------------------------------------
while IFS= read -r statement; do
    printf 'int ccu_f(int a) {\n    return a;\n    %s\n}\n' "$statement" | with host/base/a.c
    expect braces host/base/a.c $(($(last host/base/a.c) - 1))
done <<'END'
if (a) return 1;
for (;;) a++;
while (a) a--;
if (a) { a = 1; } else a = 2;
if (a)
END
found_all
while IFS= read -r statement; do
    printf 'int ccu_f(int a) {\n    return a;\n    %s\n}\n' "$statement" | with host/base/a.c
    expect function-static host/base/a.c $(($(last host/base/a.c) - 1))
done <<'END'
static int calls;
static const char *name = "a";
static float scratch[16] = { 0 };
END
found_all
while IFS= read -r declaration; do
    echo "$declaration" | with host/base/a.c
    expect mutable-global host/base/a.c "$(last host/base/a.c)"
done <<'END'
int ccu_count;
static int count = 0;
static const char *name = "a";
static const char *names[] = { "a", "b" };
extern int ccu_count;
_Thread_local int ccu_count;
static struct ccu_pair { int a; } pair;
static int (*hook)(int) = NULL;
END
found_all
echo 'int ccu_f(void) {' | with host/base/a.c; expect brace-count host/base/a.c
found_all

# ---- Ops, version, dependencies, exceptions -------------------------------------------
rm "$tree/host/ops/halve.c"; expect op-file host/ops/ops.h
echo '/* Nothing. */' | put tests/agree/test_halve.c; expect op-test host/ops/ops.h
echo '/* The backend. */' | put kernels/cuda_backend.cu; expect op-kernel host/ops/ops.h
echo 'project(clipcu VERSION 1.2.4)' | put CMakeLists.txt; expect version include/clipcu.h
echo 'clipcu_require(two.h two libtwo-dev) # new' | with cmake/Dependencies.cmake
expect dependency cmake/Dependencies.cmake 2
echo 'file-length host/gone.c a table' | with tests/tidy/exempt.txt
expect stale-exemption tests/tidy/exempt.txt 2
echo 'file-length host/base/a.c' | with tests/tidy/exempt.txt
expect stale-exemption tests/tidy/exempt.txt 3
found_all

# An exception excuses its own rule and file.
lines 495 '/* x */' | with host/base/a.c
echo 'file-length host/base/a.c a table' | with tests/tidy/exempt.txt
"$here/tidy.sh" "$tree" || fail "the exception does not work"

# Every rule that a rule file can report was tried above.
for rule in $(cat "$here"/*.awk "$here/tidy.sh" | grep -v '^ *#' |
              grep -oE 'report\("[a-z0-9-]+"|: [a-z]+-[a-z-]+: ' | sed 's/report("//; s/[": ]//g' |
              sort -u) version dependency; do
    case "$tried " in *" $rule "*) ;; *) fail "no violation of $rule was planted" ;; esac
done

# ---- The repository itself ---------------------------------------------------------------------
"$here/tidy.sh" || fail "the repository breaks its rules: see above"
exit "$failed"
