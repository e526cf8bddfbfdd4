# Counts test cases in the JUnit file that ctest writes; called by tests/run.sh.
#
# A cmocka program says how many of its cases passed, were skipped or failed, and counts as many;
# any other test counts as one, and one skip for each reason that it prints. What did not run counts
# as failed unless it was skipped on purpose. Each reason for a skip is printed, so that none goes
# unnoticed. The last line is "N passed, N failed, N skipped"; the exit status is 1 if anything
# failed or nothing ran.

function unescape(text) {
    gsub(/&lt;/, "<", text)
    gsub(/&gt;/, ">", text)
    gsub(/&quot;/, "\"", text)
    gsub(/&amp;/, "\\&", text)
    return text
}

# The N of "[  PASSED  ] N test(s)", "[  FAILED  ] name: N test(s)": cmocka's closing lines.
function cases(line) {
    sub(/ test\(s\).*/, "", line)
    sub(/.*[ \]]/, "", line)
    return line + 0
}

/<testcase / {
    inside = 1
    name = status = message = $0
    sub(/.*<testcase name="/, "", name)
    sub(/".*/, "", name)
    sub(/.* status="/, "", status)
    sub(/".*/, "", status)
    told_passed = told_failed = told_skipped = reasons = on_purpose = 0
}

!inside { next }

/<skipped message="SKIP_/ { on_purpose = 1 }

{ sub(/^[ \t]*<system-out>/, "") }

/^\[  PASSED  \] .*[0-9]+ test\(s\)/ { told_passed += cases($0) }
/^\[  SKIPPED \] .*[0-9]+ test\(s\)/ { told_skipped += cases($0) }
/^\[  FAILED  \] .*[0-9]+ test\(s\)/ { told_failed += cases($0) }

/^ *SKIPPED: / {
    line = unescape($0)
    sub(/^ */, "", line)
    sub(/<\/system-out>.*/, "", line)
    print name ": " line
    reasons++
}

/<\/testcase>/ {
    inside = 0
    passed += told_passed
    skipped += told_skipped
    if (status == "run" && told_failed > 0) { # a program that failed and returned 0
        print name ": failed cases, yet the program returned 0"
        failed += told_failed
    } else if (status == "run") {
        if (told_passed + told_skipped == 0) {
            passed++
            skipped += reasons
        }
    } else if (status == "disabled" || on_purpose) {
        skipped++
        if (reasons == 0) { print name ": SKIPPED without a reason" }
    } else {
        failed += told_failed > 0 ? told_failed : 1
    }
}

END {
    printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped
    exit failed > 0 || passed == 0
}
