#!/usr/bin/env bash
# All stages of classify and embed at once: every input is one result, in order, whatever it is; and
# what --stats and --explain say about it.
. "$(dirname "$0")/common.sh"

# ---- Good pictures among damaged ones of twenty kinds --------------------------------------------
photo=$CLIPCU_SOURCE/tests/data/images
good=$photo/jpeg_rgb.jpg
png=$(find "$photo" -name '*.png' | LC_ALL=C sort | head -1)
mkdir in
for i in $(seq 100 479); do cp "$good" "in/$i.jpg"; done
bytes=$(wc -c <"$good")
damage() { # NAME: standard input becomes a damaged picture among the good ones
    cat >"in/$1"
}
head -c 0 "$good" | damage 110a.jpg
head -c 1 "$good" | damage 120a.jpg
head -c 3 "$good" | damage 130a.jpg
head -c 20 "$good" | damage 140a.jpg
head -c $((bytes / 2)) "$good" | damage 150a.jpg
head -c $((bytes - 40)) "$good" | damage 160a.jpg
{ head -c 200 "$good"; head -c 3000 /dev/zero; } | damage 170a.jpg
tail -c +2 "$good" | damage 180a.jpg
head -c 8 "$png" | damage 190a.png
head -c 40 "$png" | damage 200a.png
{ head -c 60 "$png"; head -c 500 /dev/zero; } | damage 210a.png
echo "not a picture" | damage 220a.jpg
head -c 5000 /dev/zero | damage 230a.webp
printf 'RIFF\020\0\0\0WEBPVP8 ' | damage 240a.webp
printf 'GIF89a\001\0\001\0' | damage 250a.gif
printf 'BM\0\0\0\0' | damage 260a.bmp
printf 'P6\n60000 60000\n255\n' | damage 270a.ppm
printf 'P6\n-1 1\n255\n' | damage 280a.ppm
ln -s nowhere in/290a.jpg
mkfifo in/300a.jpg
find in -name '*.*' | LC_ALL=C sort >paths

run classify --model "$model" in --classes "a,b" --format jsonl --batch 7 --stats stats.json \
    --explain
exits 2 "damaged files among good ones"
test "$(wc -l <out)" -eq 400
report $? "a line for each of 400 files"
test "$(grep -c '"error":' out)" -eq 20
report $? "20 of them say what is wrong ($(grep -c '"error":' out))"
sed 's/^{"path":"\([^"]*\)".*/\1/' out | cmp -s - paths
report $? "in the order of their names"
is_jsonl stats.json
report $? "--stats is JSON: $(cut -c 1-200 stats.json)"
grep -qF '"images":400,"errors":20,' stats.json
report $? "--stats counts them"
grep -qF '{"stage":"sink","threads":1,"items":400,' stats.json
report $? "--stats has the stages"
says "waiting on average: " "--explain"
says " % of the time. What would move it is " "--explain says what sets the pace"
cp out first

run classify --model "$model" in --classes "a,b" --format jsonl --batch 32 --threads 1
same out first "another batch size and one thread give the same bytes"
run embed --model "$model" in -o vectors --batch 5
exits 2 "embed"
test "$(wc -l <vectors.jsonl)" -eq 400 && test "$(grep -c '"error":' vectors.jsonl)" -eq 20
report $? "embed: a line for each"
run classify --model "$model" in --classes "a,b" --stats missing/stats.json
exits 3 "--stats that cannot be written"
says "missing/stats.json" "--stats that cannot be written"

# ---- Nothing is left open -----------------------------------------------------------------------
for i in $(seq 100); do cat paths; done >many.txt
(
    ulimit -n 40
    run classify --model "$model" many.txt --classes "a,b" --format jsonl
    exit "$status"
)
test $? -eq 2 && test "$(wc -l <out)" -eq 40000
report $? "40,000 inputs with 40 descriptors ($(wc -l <out))"

# ---- Threads that wait do not spin --------------------------------------------------------------
(
    unset OMP_WAIT_POLICY
    run classify --model "$model" in --classes "a,b" --format jsonl
    exit "$status"
)
test $? -eq 2
report $? "the command as it is started by hand"
same out first "it gives the same"
finish
