#!/bin/sh
# The closing line of a test run is right: tests/summary.awk against small JUnit files as ctest
# writes them.
set -eu
summary=$(dirname "$0")/../summary.awk

# counts STATUS LAST_LINE: standard input, put into a JUnit frame, gives that status and last line
counts() {
    status=0
    text=$({ echo '<testsuite name="x" tests="9">'; cat; echo '</testsuite>'; } |
           awk -f "$summary") || status=$?
    if test "$status" != "$1" || test "$(echo "$text" | tail -n 1)" != "$2"; then
        echo "FAILED: expected status $1 and '$2', found status $status and:"
        echo "$text"
        return 1 # ends the script: it is the last command of a pipe, under set -e
    fi
}

# test_case NAME STATUS MESSAGE: standard input is what the test printed
test_case() {
    echo "<testcase name=\"$1\" classname=\"$1\" time=\"0.1\" status=\"$2\">"
    if test -n "$3"; then echo "<skipped message=\"$3\"/>"; fi
    printf '\t\t<system-out>'
    cat
    printf '</system-out>\n\t</testcase>\n'
}

cmocka() { # PASSED SKIPPED FAILED: cmocka's closing lines
    echo '[==========] Running some test(s).'
    if test "$1" != 0; then echo "[  PASSED  ] $1 test(s)."; fi
    if test "$2" != 0; then echo "[  SKIPPED ] $2 test(s), listed below:"; fi
    if test "$3" != 0; then echo "[  FAILED  ] $3 test(s), listed below:"; fi
}

printf '' | counts 1 '0 passed, 0 failed, 0 skipped'
echo hello | test_case script run '' | counts 0 '1 passed, 0 failed, 0 skipped'
{ cmocka 3 0 0 | test_case a run ''; cmocka 4 2 0 | test_case b run ''; } |
    counts 0 '7 passed, 0 failed, 2 skipped'
cmocka 3 0 2 | test_case a fail '' | counts 1 '3 passed, 2 failed, 0 skipped'
printf '[  PASSED  ] 3 test(s).\n[  SKIPPED ] tests: 2 test(s), listed below:\n' |
    test_case newer_cmocka run '' | counts 0 '3 passed, 0 failed, 2 skipped'
printf '[  PASSED  ] 3 test(s).\n[  FAILED  ] tests: 1 test(s), listed below:\n' |
    test_case newer_cmocka fail '' | counts 1 '3 passed, 1 failed, 0 skipped'
printf 'ok\nSKIPPED: this\nok\nSKIPPED: that\n' | test_case script run '' |
    counts 0 '1 passed, 0 failed, 2 skipped'
echo crashed | test_case a fail '' | counts 1 '0 passed, 1 failed, 0 skipped'
{ cmocka 1 0 0 | test_case a run ''; test_case b notrun 'Unable to find executable' </dev/null; } |
    counts 1 '1 passed, 1 failed, 0 skipped'
{ cmocka 1 0 0 | test_case a run ''; test_case b notrun SKIP_RETURN_CODE=77 </dev/null; } |
    counts 0 '1 passed, 0 failed, 1 skipped'
{ cmocka 1 0 0 | test_case a run ''; test_case b disabled '' </dev/null; } |
    counts 0 '1 passed, 0 failed, 1 skipped'
cmocka 0 2 0 | test_case a run '' | counts 1 '0 passed, 0 failed, 2 skipped'
cmocka 2 0 1 | test_case liar run '' | counts 1 '2 passed, 1 failed, 0 skipped'

# A skip shows its reason.
reason=$(echo 'SKIPPED: no &lt;file&gt; &amp; no net' | test_case a notrun SKIP_RETURN_CODE=77 |
         awk -f "$summary" | head -n 1)
if test "$reason" != 'a: SKIPPED: no <file> & no net'; then
    echo "FAILED: the reason of a skip reads '$reason'"
    exit 1
fi

# And this test would notice a wrong count.
if (echo hi | test_case a run '' | counts 0 '2 passed, 0 failed, 0 skipped') >/dev/null; then
    echo "FAILED: a wrong count went through"
    exit 1
fi
