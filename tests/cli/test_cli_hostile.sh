#!/bin/bash
# What a hostile or unlucky machine does to the command: limits, odd environments, things in the way
# of results, inputs that are no files, text that is no text. Each time: the right exit status, one
# line that names the culprit, nothing half-written, no crash, no hang.
. "$(dirname "$0")/common.sh"
export CLIPCU_MODEL=$model
export OMP_WAIT_POLICY=passive
classes="--classes red,green --device cpu --quiet"
ppm red.ppm 377 000 000
ppm green.ppm 000 310 000
printf 'red\ngreen\n' >labels.txt
"$CLIPCU" embed red.ppm green.ppm -o vectors --device cpu --quiet
mkdir folder
mkdir -p data/red data/green
cp red.ppm data/red/
cp green.ppm data/green/

run_in() { # SHELL_TEXT: runs it in a shell of its own, with $CLIPCU and limits to its liking
    status=0
    : >out
    # Through a pipe: a limit on files is not one on messages.
    { timeout 300 bash -c "$1" 2>&3 3>&- >out </dev/null || status=$?; } 3> >(cat >err)
    wait $! # for cat
}

one_line() { # TEXT NAME: the last run said one line, and it holds TEXT
    test "$(wc -l <err)" -eq 1 && grep -qF -e "$1" err
    report $? "$2: one line, with \"$1\""
}

no_parts() { # NAME: nothing half-written is left
    test -z "$(find . -name '*.part' ! -type d)"
    report $? "$1: no .part is left"
}

# The checks can fail.
(
    trap - EXIT
    printf 'clipcu: a\nclipcu: b\n' >err
    one_line a planted >/dev/null
    : >planted.part
    no_parts planted >/dev/null
    rm -f planted.part
    test "$failures" -eq 2
) || { echo "FAIL self-check: a check that must fail did not"; exit 1; }

# ---- Limits --------------------------------------------------------------------------------------
for words in "classify red.ppm $classes -o limited" "embed red.ppm --device cpu -q -o limited" \
             "bank $classes -o limited" "search vectors --query red --device cpu -q -o limited" \
             "eval data --device cpu -q -o limited" \
             "classify red.ppm $classes --html limited -o /dev/null"; do
    run_in "ulimit -f 0; exec '$CLIPCU' $words"
    exits 3 "no file may grow: ${words%% *}"
    one_line "limited" "no file may grow: ${words%% *}"
    no_parts "no file may grow: ${words%% *}"
    test -z "$(find . -name 'limited*')"
    report $? "no file may grow: ${words%% *}: no file"
    rm -rf limited*
done
run_in "ulimit -n 3; exec '$CLIPCU' classify red.ppm $classes"
test "$status" -ne 0 && test ! -s out
report $? "no file may be opened: not even libraries"
if test "$CLIPCU_SANITIZED" != 1; then
    run_in "ulimit -n 4; exec '$CLIPCU' classify red.ppm $classes"
    exits 3 "4 open files"
    one_line "Too many open files" "4 open files"
    run_in "ulimit -s 128; exec '$CLIPCU' classify red.ppm $classes"
    exits 0 "a small stack"
    run_in "ulimit -v 90000; exec '$CLIPCU' classify red.ppm $classes"
    test "$status" -eq 127 || exits 3 "90 MB of address space" # 127: not even libraries fit in
    test "$(wc -l <err)" -eq 1
    report $? "90 MB of address space: one line"
fi

# As somebody else, for whom limits and permissions hold.
as=''
if test -n "${GCOV_ERROR_FILE:-}"; then
    skip "as somebody else" "this build counts lines into files that only its owner may write"
elif test "$(id -u)" -ne 0; then
    as=env
elif setpriv --reuid 65534 --clear-groups test -x "$CLIPCU" 2>/dev/null &&
     setpriv --reuid 65534 --clear-groups test -r "$model/config.json" 2>/dev/null; then
    as="setpriv --reuid 65534 --clear-groups"
    chmod 755 "$work"
fi
if test -n "$as"; then
    mkdir -p mine closed/pictures tree/locked
    cp red.ppm closed/pictures/
    cp red.ppm tree/
    cp green.ppm tree/locked/
    cp red.ppm secret.ppm
    cp -r "$model" locked_model
    test "$as" = env || chown 65534 mine
    chmod 000 secret.ppm closed tree/locked locked_model/vocab.json
    run_in "$as '$CLIPCU' classify secret.ppm red.ppm $classes --format jsonl"
    exits 2 "an unreadable picture"
    prints '"error":"cannot open: Permission denied"' "an unreadable picture"
    run_in "$as '$CLIPCU' classify closed red.ppm $classes --format jsonl"
    exits 2 "an unreadable folder"
    prints '"path":"red.ppm","labels"' "an unreadable folder: the rest goes on"
    run_in "$as '$CLIPCU' classify tree $classes --format jsonl"
    exits 2 "an unreadable folder within a folder"
    prints 'tree/locked' "an unreadable folder within a folder: is named"
    run_in "$as '$CLIPCU' classify red.ppm $classes --model locked_model"
    exits 3 "an unreadable vocabulary"
    one_line "vocab.json: cannot open: Permission denied" "an unreadable vocabulary"
    run_in "$as '$CLIPCU' classify red.ppm $classes --labels secret.ppm"
    exits 1 "two kinds of classes"
    run_in "$as '$CLIPCU' bank --labels secret.ppm --device cpu -o mine/bank"
    exits 1 "unreadable labels"
    one_line "secret.ppm: cannot open" "unreadable labels"
    for words in "classify red.ppm $classes -o results" "embed red.ppm -q -o results" \
                 "bank $classes -o results" "classify red.ppm $classes --html results" \
                 "search vectors --query red -q -o results"; do
        if test "$as" = env; then chmod 555 .; fi
        run_in "$as '$CLIPCU' $words --device cpu 2>&1 >/dev/null | tee /dev/stderr >/dev/null;
                exit \${PIPESTATUS[0]}"
        if test "$as" = env; then chmod 755 .; fi
        exits 3 "a folder that may not be written: ${words%% *}"
        one_line "results" "a folder that may not be written: ${words%% *}"
    done
    for limit in 1 2 3; do
        run_in "$as bash -c 'ulimit -u $limit; exec \"\$0\" \"\$@\"' '$CLIPCU' classify red.ppm \
                --classes red --device cpu --threads 64 --format jsonl"
        if test "$CLIPCU_SANITIZED" != 1; then
            exits 0 "at most $limit threads"
            grep -q 'of 64 threads can be started' err
            report $? "at most $limit threads: says so"
        fi
    done
    chmod 755 closed tree/locked
    chmod 644 secret.ppm locked_model/vocab.json
else
    skip "permissions and numbers of threads" "root, and no other user who can run the command"
fi

# ---- Environment ---------------------------------------------------------------------------------
# shellcheck disable=SC2086
run classify red.ppm $classes --format jsonl
cp out expected
for setting in LC_ALL=tr_TR.UTF-8 LC_ALL=de_DE.UTF-8 LC_ALL=nonsense TMPDIR=/nonexistent HOME= \
               OMP_NUM_THREADS=1 OMP_THREAD_LIMIT=1 OMP_DYNAMIC=true TERM= COLUMNS=1; do
    run_in "exec env '$setting' '$CLIPCU' classify red.ppm $classes --format jsonl"
    exits 0 "$setting"
    same out expected "$setting: the same result"
done
run_in "exec env -i '$CLIPCU' classify red.ppm $classes --format jsonl --model '$model'"
exits 0 "no environment at all"
same out expected "no environment at all: the same result"
run_in "exec -a '' '$CLIPCU' classify red.ppm $classes --format jsonl"
same out expected "an empty argv[0]"
run_in "exec '$CLIPCU' classify red.ppm $classes --format jsonl <&-"
same out expected "standard input is closed"
run_in "exec '$CLIPCU' classify - $classes --format jsonl <&-"
exits 0 "paths on a closed standard input"
run_in "exec '$CLIPCU' classify red.ppm missing.ppm $classes --format jsonl 2>&-"
exits 2 "standard error is closed"
run_in "exec '$CLIPCU' classify red.ppm $classes <&- >&- 2>&-"
exits 3 "everything is closed"
run_in "CLIPCU_MODEL=/nonexistent exec '$CLIPCU' classify red.ppm $classes"
exits 3 "CLIPCU_MODEL names nothing"
one_line /nonexistent "CLIPCU_MODEL names nothing"

# ---- In the way of results -----------------------------------------------------------------------
mkdir x.part
mkfifo pipe.part
ln -s labels.txt link.part
for name in x pipe link; do
    for words in "classify red.ppm $classes -o $name" "bank $classes -o $name" \
                 "classify red.ppm $classes --html $name -o /dev/null"; do
        run_in "exec '$CLIPCU' $words"
        exits 3 "something called $name.part: ${words%% *}"
        one_line "$name.part" "something called $name.part: ${words%% *}"
        test ! -e $name
        report $? "something called $name.part: ${words%% *}: no results"
    done
done
test "$(wc -l <labels.txt)" -eq 2
report $? "a link called link.part: nothing was written through it"
rm -r x.part pipe.part link.part
for words in "classify red.ppm $classes -o" "bank $classes -o" "embed red.ppm --device cpu -q -o" \
             "classify red.ppm $classes --html" "search vectors --query a --device cpu -q -o"; do
    run_in "exec '$CLIPCU' $words folder/"
    exits 3 "a folder for results: ${words%% *}"
    one_line "folder/: expected a" "a folder for results: ${words%% *}"
    run_in "exec '$CLIPCU' $words labels.txt/results"
    exits 3 "a file for a folder: ${words%% *}"
    one_line "labels.txt" "a file for a folder: ${words%% *}"
done
test -z "$(ls -A folder)"
report $? "a folder for results: stays empty"
for words in "bank $classes -o" "embed red.ppm --device cpu -q -o"; do
    run_in "exec '$CLIPCU' $words /dev/full"
    exits 3 "a device for files: ${words%% *}"
    one_line "found a device" "a device for files: ${words%% *}"
done
if test -w /dev/full; then
    for words in "classify red.ppm $classes -o" "search vectors --query a --device cpu -q -o" \
                 "eval data --device cpu -q -o" \
                 "classify red.ppm $classes -o /dev/null --html"; do
        run_in "exec '$CLIPCU' $words /dev/full"
        exits 3 "a full device: ${words%% *}"
        one_line "/dev/full: cannot write: No space left" "a full device: ${words%% *}"
    done
fi
no_parts "things in the way"

# ---- Inputs that are no pictures, and hardly pictures --------------------------------------------
printf 'P6\n1 1\n255\nabc' >one.ppm
{ printf 'P5\n60000 1\n255\n'; head -c 60000 /dev/zero; } >wide.pgm
{ printf 'P5\n1 60000\n255\n'; head -c 60000 /dev/zero; } >tall.pgm
# shellcheck disable=SC2086
run classify one.ppm wide.pgm tall.pgm $classes --format jsonl
exits 0 "1 x 1, 60000 x 1 and 1 x 60000"
mkdir odd
mkfifo odd/pipe.jpg
ln -s nowhere.ppm odd/broken.ppm
ln -s circle.ppm odd/circle.ppm
if test -n "$python"; then
    "$python" -c 'import socket; socket.socket(socket.AF_UNIX).bind("odd/socket.jpg")'
fi
cp red.ppm odd/red.ppm
# shellcheck disable=SC2086
run classify odd $classes --format jsonl
test "$status" -eq 0 -o "$status" -eq 2
report $? "a folder of pipes, sockets and broken links"
prints '"path":"odd/red.ppm","labels"' "a folder of pipes, sockets and broken links: the picture"
# shellcheck disable=SC2086
run classify /dev/zero /dev/null odd/pipe.jpg odd/circle.ppm red.ppm $classes --format jsonl
exits 2 "devices, pipes and circles by name"
test "$(grep -c '"error"' out)" -eq 4
report $? "devices, pipes and circles by name: an error each"
for depth in 30 600; do
    mkdir -p "deep$depth/$(printf 'd/%.0s' $(seq $depth))"
    cp red.ppm "deep$depth/$(printf 'd/%.0s' $(seq $depth))"
done
# shellcheck disable=SC2086
run classify deep30 $classes --format jsonl
exits 0 "30 folders deep"
# shellcheck disable=SC2086
run classify deep600 red.ppm $classes --format jsonl
exits 2 "600 folders deep"
prints '"error":"folders nested deeper than ' "600 folders deep"
prints '"path":"red.ppm","labels"' "600 folders deep: the rest goes on"
rm -rf deep30 deep600

# Pictures that vanish, shrink and change while they are being read.
mkdir moving
for i in $(seq 40); do cp red.ppm "moving/$i.ppm"; done
find moving -name '*.ppm' | sort >moving.txt
: >go_on
(
    while test -e go_on; do
        for i in 3 9 21 30; do
            rm -f moving/$i.ppm
            printf 'P6\n800 600\n255\n' >moving/$((i + 1)).ppm
            cp green.ppm moving/$i.ppm
            cp red.ppm moving/$((i + 1)).ppm
        done 2>/dev/null
    done
) &
mover=$!
for _ in 1 2 3; do
    # shellcheck disable=SC2086
    run classify moving.txt $classes --format jsonl --batch 4
    test "$status" -eq 0 -o "$status" -eq 2
    report $? "pictures that change: exit status 0 or 2"
    test "$(wc -l <out)" -eq 40 && is_jsonl out
    report $? "pictures that change: a line each"
done
rm -f go_on
wait $mover
rm -rf moving
# shellcheck disable=SC2086
run classify moving.txt $classes --format jsonl
exits 2 "pictures that are gone"
test "$(grep -c 'No such file' out)" -eq 40
report $? "pictures that are gone: an error each"

# ---- Text that is none ---------------------------------------------------------------------------
long=$(printf 'a %.0s' $(seq 78))
printf 'cat\n%s\n' "$long" >long.txt
run bank --labels long.txt --device cpu --quiet -o bank
exits 1 "a prompt that is too long"
one_line "tokens, at most 77 fit" "a prompt that is too long"
says 'a photo of a a a a' "a prompt that is too long"
test ! -e bank
report $? "a prompt that is too long: no bank"
run bank --labels long.txt --device cpu --quiet --truncate -o bank
exits 0 "a prompt that is too long, --truncate"
printf 'red\n\377\376\n' >latin.txt
printf 'red\nblue\0black\n' >nul.txt
{ echo red; head -c 1000000 /dev/zero | tr '\0' x; echo; } >megabyte.txt
printf 'r\0e\0d\0' >wide.txt
: >empty.txt
printf '\n \n\t\r\n' >blank.txt
for file in latin nul megabyte wide empty blank; do
    run bank --labels $file.txt --device cpu --quiet -o no_bank
    exits 1 "$file labels"
    test "$(wc -l <err)" -eq 1 && test ! -e no_bank
    report $? "$file labels: one line, no bank"
done
printf '\357\273\277red\r\ngreen\r\n' >windows.txt
# shellcheck disable=SC2086
run classify red.ppm --labels windows.txt --device cpu --quiet --format jsonl
same out expected "labels with CR LF and a byte order mark are the same labels"
printf 'red.ppm\0evil\nred.ppm\n' >nul_paths.txt
{ head -c 1000000 /dev/zero | tr '\0' x; printf '\nred.ppm\n'; } >long_paths.txt
for file in nul_paths long_paths; do
    # shellcheck disable=SC2086
    run classify $file.txt $classes --format jsonl
    exits 2 "$file"
    test "$(wc -l <out)" -eq 2 && is_jsonl out && grep -q '"red.ppm","labels"' out
    report $? "$file: an error, and the rest goes on"
done
for file in /dev/null folder no/such/file; do
    run eval $file --device cpu --quiet
    exits 1 "eval $file"
    one_line $file "eval $file"
    run search vectors --queries $file --device cpu --quiet
    exits 1 "--queries $file"
    one_line $file "--queries $file"
    run embed --text $file --device cpu --quiet
    exits 1 "--text $file"
    one_line $file "--text $file"
done
finish
