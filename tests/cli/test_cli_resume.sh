#!/usr/bin/env bash
# --resume of classify and embed: killed at any moment, gone on with, and no byte differs from a run
# that was never interrupted. $CLIPCU_KILLS runs are killed (default 6 of each kind).
. "$(dirname "$0")/common.sh"

kills=${CLIPCU_KILLS:-6}
photos=$CLIPCU_SOURCE/tests/data/images
mkdir in
for i in $(seq 100 399); do
    case $((i % 7)) in
    0) head -c 100 "$photos/jpeg_rgb.jpg" >"in/$i.jpg" ;; # damaged
    1) cp "$photos/jpeg_rgb.jpg" "in/$i, \"q\"
.jpg" ;;                                                  # commas, quotes and a line end
    *) cp "$photos/jpeg_rgb.jpg" "in/$i.jpg" ;;
    esac
done
mkdir shard
for i in $(seq 10 49); do
    cp "$photos/jpeg_rgb.jpg" "shard/$i.jpg"
    echo "caption $i" >"shard/$i.txt"
done
(cd shard && tar cf ../shard.tar --sort=name *)
inputs='in shard.tar missing.jpg in'

# ---- Killed at random moments --------------------------------------------------------------------
classify() { # FORMAT OUTPUT [OPTION...]
    format=$1 output=$2
    shift 2
    run classify --model "$model" $inputs --classes "a,b" --format "$format" --batch 5 \
        -o "$output" "$@"
}
embed() { # PREFIX [OPTION...]
    prefix=$1
    shift
    run embed --model "$model" $inputs --batch 5 -o "$prefix" "$@"
}
classify jsonl whole.jsonl
exits 2 "never interrupted"
classify csv whole.csv --scores scores.npy
embed whole --dtype f16

# The moment is one of the work: from a fiftieth to the whole of the time that a run takes, which a
# busy machine changes from one run to the next: a run that ends first makes it shorter, one that is
# killed longer.
began=$(date +%s%N)
embed time --dtype f16
took=$(($(date +%s%N) - began))

# killed KIND: starts it in the background, kills it a random time later, over and over until
# results are complete; true if they came out as whole.
killed() {
    kind=$1 tries=0
    rm -f got.*
    while :; do
        tries=$((tries + 1))
        # 32 kills in a row without an end would be a run that does not go on.
        test $tries -gt 32 && return 1
        wait_ns=$((took / 50 + (RANDOM * 32768 + RANDOM) % took))
        case $kind in
        jsonl | csv) set -- classify --classes a,b --format "$kind" -o "got.$kind" ;;
        embed) set -- embed --dtype f16 -o got ;;
        scores) set -- classify --classes a,b --format csv --scores got.npy -o got.csv ;;
        esac
        "$CLIPCU" "$@" -q --model "$model" $inputs --batch $((1 + RANDOM % 16)) --resume \
            >/dev/null 2>err &
        process=$!
        sleep "$(awk -v n=$wait_ns 'BEGIN { printf "%.4f", n / 1e9 }')"
        if kill -9 $process 2>/dev/null; then
            cut=$((cut + 1)) took=$((took * 5 / 4))
        else
            took=$((took * 2 / 3))
        fi
        wait $process 2>/dev/null
        code=$?
        case $code in
        137) ;;
        2) break ;;
        0) return 1 ;; # complete already: the error lines were lost
        *) return 1 ;;
        esac
        # Killed behind the last rename: nothing is left to do.
        case $kind in
        embed) test -e got.jsonl && break ;;
        scores) test -e got.csv && break ;;
        *) test -e "got.$kind" && break ;;
        esac
    done
    case $kind in
    embed) cmp got.npy whole.npy && cmp got.jsonl whole.jsonl.embed ;;
    scores) cmp got.npy scores.npy && cmp got.csv whole.csv ;;
    *) cmp "got.$kind" "whole.$kind" ;;
    esac
}
"$CLIPCU" embed --model "$model" $inputs --batch 5 -q --dtype f16 -o e >/dev/null 2>&1
cp e.jsonl whole.jsonl.embed
cmp -s e.npy whole.npy
report $? "two uninterrupted runs are the same"
classify jsonl whole.jsonl
for kind in jsonl csv embed scores; do
    cut=0 wrong=0
    for _ in $(seq "$kills"); do killed $kind || wrong=$((wrong + 1)); done
    test $wrong -eq 0
    report $? "$kind: $kills runs, killed $cut times, $wrong of them wrong"
    test $cut -gt 0
    report $? "$kind: some of them were killed"
    leftover=$(ls got.*part* 2>/dev/null)
    test -z "$leftover"
    report $? "$kind: nothing is left beside the results"
done

# ---- Every place to cut --------------------------------------------------------------------------
inputs='in/100.jpg in/101.jpg in/105.jpg shard.tar'
classify csv short.csv
bytes=$(wc -c <short.csv)
# What a run was begun with, from one that is killed while it waits for inputs.
begun() { # FILE ARGUMENT...: writes it there
    file=$1
    shift
    mkfifo waits
    "$CLIPCU" "$@" - --model "$model" -q <waits >/dev/null 2>&1 &
    process=$!
    exec 9>waits
    for _ in $(seq 100); do
        ls begun.*.part.run >/dev/null 2>&1 && break
        sleep 0.05
    done
    kill -9 $process
    wait $process 2>/dev/null
    exec 9>&-
    mv begun.*.part.run "$file"
    rm -f waits begun.*
}
begun csv.run classify --classes a,b --format csv -o begun.csv
begun embed.run embed -o begun
wrong=0 tried=0
for at in 0 1 20 $(seq 30 97 "$bytes") $((bytes - 1)) "$bytes"; do
    head -c "$at" short.csv >cut.csv.part
    cp csv.run cut.csv.part.run
    rm -f cut.csv
    classify csv cut.csv --resume
    tried=$((tried + 1))
    cmp -s cut.csv short.csv || wrong=$((wrong + 1))
done
test $wrong -eq 0 && test $tried -gt 10
report $? "cut at $tried places: $wrong wrong"
embed short
rm -f cut.*
for at in 0 10 128 129 2176 4000 9999999; do
    for lines in 0 1 2 4 43; do
        head -c "$at" short.npy >cut.npy.part
        head -n "$lines" short.jsonl >cut.jsonl.part
        test "$lines" -eq 2 && printf '{"path":"in/105' >>cut.jsonl.part
        rm -f cut.npy cut.jsonl
        # The matrix has its name already: the run was killed between the two.
        if test "$at" = 9999999 && test "$lines" -eq 43; then mv cut.npy.part cut.npy; fi
        cp embed.run cut.jsonl.part.run
        embed cut --resume
        cmp -s cut.npy short.npy && cmp -s cut.jsonl short.jsonl
        report $? "embed cut at $at bytes and $lines lines"
    done
done

# ---- Not the same run ----------------------------------------------------------------------------
half() { # begins again with half of the results of short.csv
    head -c $((bytes / 2)) short.csv >cut.csv.part
    cp csv.run cut.csv.part.run
    rm -f cut.csv
}
half
run classify --model "$model" $inputs --classes "a,c" --format csv -o cut.csv --resume
exits 3 "other classes"
says 'it was begun with "classes ' "other classes"
test "$(wc -c <cut.csv.part)" -eq $((bytes / 2))
report $? "what was done stays"
run classify --model "$model" $inputs --classes "a,b" --top 1 --format csv -o cut.csv --resume
exits 3 "another --top"
says 'it was begun with "top 2", this is "top 1"' "another --top"
run classify --model "$model" $inputs --classes "a,b" --format csv -o cut.csv --resume \
    --scores x.npy
exits 3 "scores that were not asked for before"
run classify --model "$other_model" $inputs --classes "a,b" --format csv -o cut.csv --resume
exits 3 "another model"
run classify --model "$model" in/100.jpg in/105.jpg shard.tar --classes "a,b" --format csv \
    -o cut.csv --resume
exits 3 "other inputs"
says "cut.csv.part: result 2 is not that of in/105.jpg" "other inputs"
run classify --model "$model" in/100.jpg --classes "a,b" --format csv -o cut.csv --resume
exits 3 "fewer inputs"
says "more results than there are inputs, which end behind 1" "fewer inputs"
half
sed -i '1s/path/PATH/' cut.csv.part
classify csv cut.csv --resume
exits 3 "another heading"
half
classify csv cut.csv
same cut.csv short.csv "without --resume it begins anew"
classify csv cut.csv --resume
exits 0 "complete"
says "cut.csv is complete: nothing to do" "complete"
run classify --model "$model" in --classes a,b --resume -o x.txt
exits 1 "--resume of a table"
run classify --model "$model" in --classes a,b --resume --format csv -o x.csv --html x.html
exits 1 "--resume with a page"
run embed --model "$model" --text "$CLIPCU_SOURCE/README.md" -o x --resume
exits 1 "--resume of texts"

# ---- Two at once ---------------------------------------------------------------------------------
mkfifo waits2
"$CLIPCU" classify --model "$model" - --classes a,b --format csv -o two.csv -q <waits2 \
    >/dev/null 2>&1 &
process=$!
exec 9>waits2
for _ in $(seq 100); do
    test -e two.csv.part.run && break
    sleep 0.05
done
classify csv two.csv --resume
exits 3 "a file that another process writes"
says "two.csv.part: cannot write: another process does" "a file that another process writes"
test -e two.csv.part.run
report $? "the other process keeps what is its"
exec 9>&-
wait $process
test -e two.csv
report $? "and ends as ever"

# ---- Interrupted with a signal -------------------------------------------------------------------
rm -f got.*
inputs='in shard.tar missing.jpg in'
"$CLIPCU" classify --model "$model" $inputs --classes a,b --format jsonl -o got.jsonl \
    >/dev/null 2>err &
process=$!
for _ in $(seq 200); do
    test -s got.jsonl.part && break
    sleep 0.01
done
kill -TERM $process
wait $process
test $? -eq 143
report $? "ended by SIGTERM"
says "--resume goes on with it" "ended by SIGTERM"
classify jsonl got.jsonl --resume
exits 2 "gone on with, errors before counted"
says "going on behind " "gone on with"
same got.jsonl whole.jsonl "gone on with"
finish
