#!/bin/bash
# Replaying inputs tells what breaks a target: a planted defect, an unreadable file, nothing to run.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/good" "$folder/bad" "$folder/none"
printf harmless >"$folder/good/1"
: >"$folder/good/2"
printf harmless >"$folder/bad/1"
printf 'magic word' >"$folder/bad/2"

fail() {
    echo "$1" >&2
    cat "$folder/output" >&2
    exit 1
}

replay() { "$CLIPCU_REPLAY_PLANTED" "$@" >"$folder/output" 2>&1; }

replay "$folder/good" || fail "harmless inputs fail"
grep -q '^2 inputs$' "$folder/output" || fail "two inputs should have run"
if replay "$folder/good" "$folder/bad"; then fail "the planted defect passes"; fi
grep -q "$folder/bad/2" "$folder/output" || fail "the input is not named"
grep -q 'does not hold: no input begins with magic' "$folder/output" || fail "the reason is missing"
if replay "$folder/good" "$folder/no_such"; then fail "a missing folder passes"; fi
if replay "$folder/none"; then fail "no input at all passes"; fi
