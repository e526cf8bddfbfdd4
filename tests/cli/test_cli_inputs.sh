#!/bin/bash
# What the command makes of its inputs: files, folders, lists, standard input, odd names, broken
# pictures.
. "$(dirname "$0")/common.sh"
export CLIPCU_MODEL=$model
jsonl="--classes red,green,blue --format jsonl --quiet"

ppm red.ppm 377 000 000
ppm green.ppm 000 310 000
ppm blue.ppm 000 000 377
printf 'not a picture' >text.jpg
printf 'P6\n800 600\n255\nshort' >short.ppm
printf 'RIFF\044\000\000\000WEBPVP8 ' >photo.webp
: >nothing.png
mkdir folder

paths() { # the paths of a JSON Lines file, in order
    sed 's/^{"path":"//; s/",".*//' "$1"
}

is_error() { # LINE: that line of out is a result with an error
    sed -n "$1p" out | grep -q '"error":"'
}

# ---- Broken pictures are results, in their place -------------------------------------------------
inputs="red.ppm text.jpg green.ppm missing.jpg short.ppm nothing.png photo.webp folder/none"
inputs="$inputs blue.ppm"
for batch in 1 2 7 32; do
    # shellcheck disable=SC2086
    run classify $inputs $jsonl --batch $batch
    exits 2 "broken pictures, batches of $batch"
    test "$(paths out | tr '\n' ' ')" = "$inputs "
    report $? "broken pictures, batches of $batch: order is kept"
    test "$(grep -c '"error"' out)" -eq 6
    report $? "broken pictures, batches of $batch: 6 errors"
done
is_jsonl out
report $? "broken pictures: JSON lines"
is_error 2 && is_error 4 && ! is_error 1 && ! is_error 9
report $? "broken pictures: the right ones"
# shellcheck disable=SC2086
run classify $inputs --classes red,green
says "9 images, 6 errors" "the summary counts them"

mkfifo pipe.jpg
# shellcheck disable=SC2086
run classify pipe.jpg red.ppm $jsonl
exits 2 "a pipe named like a picture does not hang"
if test "$(id -u)" -eq 0; then
    skip "an unreadable file" "root reads everything"
else
    cp red.ppm secret.ppm
    chmod 000 secret.ppm
    # shellcheck disable=SC2086
    run classify secret.ppm red.ppm $jsonl
    exits 2 "an unreadable file"
    is_error 1
    report $? "an unreadable file is a result"
fi
rm -f pipe.jpg

# ---- Folders -------------------------------------------------------------------------------------
mkdir -p tree/b/deep tree/a tree/.hidden tree/empty
for name in tree/z.ppm tree/a/2.ppm tree/a/10.ppm tree/b/deep/x.PPM tree/.hidden/h.ppm tree/.h.ppm
do
    cp red.ppm "$name"
done
echo notes >tree/a/notes.md
ln -s .. tree/b/loop
ln -s ../../tree tree/b/deep/loop
cat >expected <<'END'
tree/a/10.ppm
tree/a/2.ppm
tree/b/deep/x.PPM
tree/z.ppm
END
# shellcheck disable=SC2086
run classify tree $jsonl
exits 0 "a folder with loops of links"
paths out >found
same found expected "a folder: its pictures, in order of their names"
run classify tree/empty red.ppm --classes red,green
exits 0 "a folder without pictures"
says "tree/empty: no pictures" "a folder without pictures"

# ---- Lists and standard input -------------------------------------------------------------------
printf 'red.ppm\r\n\ngreen.ppm\nmissing.jpg\nblue.ppm' >list.txt
printf 'red.ppm\ngreen.ppm\nmissing.jpg\nblue.ppm\n' >expected
# shellcheck disable=SC2086
run classify list.txt $jsonl
exits 2 "a list"
paths out >found
same found expected "a list: its lines"
status=0
# shellcheck disable=SC2086
timeout 300 "$CLIPCU" classify - $jsonl <list.txt >out 2>err || status=$?
exits 2 "paths on standard input"
paths out >found
same found expected "paths on standard input: its lines"
status=0
# shellcheck disable=SC2086
timeout 300 "$CLIPCU" classify - red.ppm $jsonl </dev/null >out 2>err || status=$?
exits 0 "nothing on standard input"
test "$(wc -l <out)" -eq 1
report $? "nothing on standard input: the rest goes on"
run classify missing.txt red.ppm --classes red,green
exits 2 "a missing list"

# A slow list is answered as it comes: the answer to the first line is there before the second.
mkfifo slow
# shellcheck disable=SC2086
timeout 300 "$CLIPCU" classify - $jsonl <slow >out 2>err &
process=$!
exec 9>slow
echo red.ppm >&9
for _ in $(seq 600); do
    test -s out && break
    sleep 0.1
done
test "$(wc -l <out)" -eq 1
report $? "a slow list is answered as it comes"
echo green.ppm >&9
exec 9>&-
status=0
wait $process || status=$?
exits 0 "a slow list"
test "$(wc -l <out)" -eq 2
report $? "a slow list: both answers"

# ---- Names ---------------------------------------------------------------------------------------
mkdir odd
nl='
'
for name in 'two words' "quote's" 'say "hi"' 'a,b' "line${nl}break" 'back\slash' 'größe' \
            $'bad\xff\xfebytes' $'escape\x1b[31m' '$(touch x)' '-k'; do
    cp red.ppm "odd/$name.ppm" 2>/dev/null || skip "$name" "the file system refuses the name"
done
count=$(find odd -name '*.ppm' -print0 | tr -dc '\0' | wc -c)
for format in jsonl csv table; do
    run classify odd --classes red,green --format $format --quiet
    exits 0 "odd names as $format"
    cp out "odd.$format"
done
test "$(wc -l <odd.jsonl)" -eq "$count"
report $? "odd names: one JSON line each"
is_jsonl odd.jsonl
report $? "odd names: valid JSON"
test "$(grep -c "$(printf '\033')" odd.table)" -eq 0
report $? "odd names: no escape codes in the table"
if test -n "$python"; then
    "$python" - "$count" <<'END' 2>err
import base64, csv, json, os, sys
want = int(sys.argv[1])
seen = set()
for line in open("odd.jsonl", encoding="utf-8"):
    item = json.loads(line)
    exact = item.get("path_base64")
    seen.add(base64.b64decode(exact) if exact else item["path"].encode())
assert len(seen) == want and all(os.path.exists(path) for path in seen), seen
table = open("odd.csv", newline="", encoding="utf-8", errors="surrogateescape")
rows = list(csv.reader(table))
assert {row[0].encode("utf-8", "surrogateescape") for row in rows[1:]} == seen, rows
assert {len(row) for row in rows} == {8}
END
    report $? "odd names: JSON and CSV lead back to the files"
else
    skip "odd names lead back to the files" "no python3"
fi
(cd odd && timeout 300 "$CLIPCU" classify -- -k.ppm --classes red,green) >out 2>err
test $? -ne 0
report $? "behind -- everything is an input"
status=0
(cd odd && timeout 300 "$CLIPCU" classify --classes red,green -- -k.ppm >../out 2>../err) ||
    status=$?
exits 0 "a file named like an option"
finish
