#!/bin/bash
# The library in a program that has set a locale with a decimal comma: files written there are the
# same, files written elsewhere are read.
set -eu
: "${CLIPCU_SOURCE:?set by ctest}" "${CLIPCU_LIBRARY:?set by ctest}" "${CLIPCU_CC:=cc}"
if test "${CLIPCU_SANITIZED:-0}" = 1; then
    echo "SKIPPED: a program without the sanitizers cannot load a library with them"
    exit 77
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

fail() {
    echo "FAILED: $*"
    exit 1
}

cat > "$folder/bank.c" <<'END_OF_C'
#include <clipcu.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>

/* bank LOCALE MODEL FILE OTHER: writes FILE; reads it and, if it is there, OTHER. */
int main(int argc, char **argv) {
    const char *const labels[] = { "dog", "cat" };
    clipcu_options    options  = clipcu_options_default();
    clipcu_error      error;
    clipcu_engine    *engine = NULL;
    clipcu_bank      *bank = NULL, *back = NULL, *other = NULL;
    char              half[8];
    if (argc != 5 || setlocale(LC_ALL, argv[1]) == NULL) { return 77; }
    snprintf(half, sizeof half, "%.1f", 0.5);
    if (strcmp(argv[1], "C") != 0 && strcmp(half, "0,5") != 0) { return 77; }
    options.device = CLIPCU_DEVICE_CPU;
    if (clipcu_open(argv[2], &options, &engine, &error) != CLIPCU_OK ||
        clipcu_bank_build(engine, labels, 2, NULL, 0, &bank, &error) != CLIPCU_OK ||
        clipcu_bank_save(bank, argv[3], &error) != CLIPCU_OK ||
        clipcu_bank_load(argv[3], &back, &error) != CLIPCU_OK ||
        (strcmp(argv[4], "-") != 0 && clipcu_bank_load(argv[4], &other, &error) != CLIPCU_OK)) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    if (clipcu_bank_logit_scale(back) != clipcu_bank_logit_scale(bank)) {
        fprintf(stderr, "the scale was changed\n");
        return 1;
    }
    clipcu_bank_close(other);
    clipcu_bank_close(back);
    clipcu_bank_close(bank);
    clipcu_close(engine);
    return 0;
}
END_OF_C
"$CLIPCU_CC" -std=c11 -I "$CLIPCU_SOURCE/include" "$folder/bank.c" -o "$folder/bank" \
    "$CLIPCU_LIBRARY" -Wl,-rpath,"$(dirname "$CLIPCU_LIBRARY")"
mkdir "$folder/locales"
localedef -i de_DE -f UTF-8 "$folder/locales/de_DE.UTF-8" > "$folder/log" 2>&1 ||
    { echo "SKIPPED: no locale with a decimal comma can be made here"; exit 77; }
export LOCPATH=$folder/locales
unset LC_ALL

for model in hf_b32 oc_g14; do
    test -d "$CLIPCU_SOURCE/tests/golden/$model" || continue
    path=$CLIPCU_SOURCE/tests/golden/$model
    "$folder/bank" C "$path" "$folder/point" - || fail "$model in C: $?"
    status=0
    "$folder/bank" de_DE.UTF-8 "$path" "$folder/comma" "$folder/point" || status=$?
    test $status != 77 || { echo "SKIPPED: this system does not take the locale"; exit 77; }
    test $status = 0 || fail "$model in de_DE.UTF-8: status $status"
    cmp "$folder/point" "$folder/comma" || fail "$model: the locale changes the file"
    echo "$model: with a decimal comma as without"
done
test -f "$folder/comma" || fail "no model to try"
