# What the tests of the command share: running it, looking at what it did, counting. Sourced.
# $CLIPCU is the command, $CLIPCU_SOURCE the repository.
set -u
export LC_ALL=C.UTF-8
unset CLIPCU_MODEL NO_COLOR
: "${CLIPCU_SOURCE:=$(cd "$(dirname "$0")/../.." && pwd)}" "${CLIPCU:=$CLIPCU_SOURCE/build/clipcu}"
golden=$CLIPCU_SOURCE/tests/golden
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
passed=0
failures=0

# A small model with random weights: what it answers is of no interest here, only how.
model=$golden/hf_b32
other_model=$golden/oc_g14

python=''
if python3 -c 'import json, csv, struct' >/dev/null 2>&1; then python=python3; fi

report() { # STATUS NAME: counts a check by the status of the one before it
    if test "$1" -eq 0; then
        passed=$((passed + 1))
        echo "ok   $2"
        return 0
    fi
    failures=$((failures + 1))
    echo "FAIL $2"
    if test -f err; then sed 's/^/     stderr: /' err | head -5; fi
    return 0
}

skip() { # NAME REASON
    echo "SKIPPED: $1: $2"
}

run() { # ARGUMENT...: runs the command; its output is in out and err, its status in $status
    status=0
    timeout 300 "$CLIPCU" "$@" >out 2>err </dev/null || status=$?
}

exits() { # STATUS NAME: checks how the last run ended
    test "$status" -eq "$1"
    report $? "$2: exit status $1 (was $status)"
}

says() { # TEXT NAME: the last run said it to standard error
    grep -qF -e "$1" err
    report $? "$2: says \"$1\""
}

prints() { # TEXT NAME: the last run printed it
    grep -qF -e "$1" out
    report $? "$2: prints \"$1\""
}

same() { # FILE FILE NAME
    cmp -s "$1" "$2"
    report $? "$3"
}

# Each line is one JSON object in valid UTF-8. Without Python: begins and ends like one.
is_jsonl() { # FILE
    if test -n "$python"; then
        "$python" -c '
import json, sys
for line in open(sys.argv[1], "rb").read().decode("utf-8").splitlines():
    assert isinstance(json.loads(line), dict)' "$1" 2>/dev/null
    else
        test -s "$1" && ! grep -qv '^{".*}$' "$1"
    fi
}

ppm() { # FILE R G B: a picture of one colour, the channels in octal
    { printf 'P6\n8 6\n255\n'; for _ in $(seq 48); do printf "\\$2\\$3\\$4"; done; } >"$1"
}

# A planted failure is counted, and a script with one ends with status 1.
(
    trap - EXIT
    failures=0
    false
    report $? planted >/dev/null
    test "$failures" -eq 1
) || { echo "FAIL self-check: a planted failure was not counted"; exit 1; }
(
    trap - EXIT
    status=0
    exits 3 planted >/dev/null
    says planted planted >/dev/null 2>&1
    printf 'no json\n' >wrong
    is_jsonl wrong
    report $? planted >/dev/null
    test "$failures" -eq 3
) || { echo "FAIL self-check: a check that must fail did not"; exit 1; }
rm -f wrong

finish() { # the last line of a test script
    echo "$passed passed, $failures failed"
    test "$failures" -eq 0 || exit 1
    exit 0
}

test -x "$CLIPCU" || { echo "no command at $CLIPCU"; exit 1; }
test -f "$model/config.json" || { echo "no model at $model"; exit 1; }
