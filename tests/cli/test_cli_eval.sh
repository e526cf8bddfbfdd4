#!/usr/bin/env bash
# clipcu eval: its numbers against a count of what clipcu classify answers, its inputs and outputs.
# shellcheck source=tests/cli/common.sh
. "$(dirname "$0")/common.sh"
emoji=$CLIPCU_SOURCE/tests/data/emoji
labels=$emoji/labels.txt

# A folder per class: the pictures of the demo, one of them in a wrong folder and one unread.
for picture in "$emoji"/*.png "$emoji"/*.jpg; do
    name=$(basename "$picture")
    class=$(echo "${name%.*}" | tr - _)
    mkdir -p "data/$class"
    cp "$picture" "data/$class/"
done
mkdir data/house
mv data/rocket/rocket.png data/house/
echo nonsense >data/octopus/bad.png
grep -v octopus "$labels" >lacks.txt
run eval data --labels lacks.txt
exits 1 "a folder that is no label"
says 'no class is called "octopus"' "a folder that is no label"
{ cat "$labels"; ls data | tr _ ' '; } | sort -u >names.txt

# ---- The numbers ---------------------------------------------------------------------------------
run eval data --labels names.txt --format json --html page.html --device cpu
exits 2 "a picture that cannot be read"
says bad.png "a picture that cannot be read"
test "$(grep -c bad.png err)" -eq 1
report $? "it is named once"
cp out json
is_jsonl json
report $? "JSON"
run classify data --labels names.txt --top 5 --format jsonl
cp out answers
# path -> folder -> class; correct if it is the first label, or one of five
awk '
!/"error"/ {
    match($0, /"path":"data\/[^\/]*/)
    truth = substr($0, RSTART + 13, RLENGTH - 13)
    gsub(/_/, " ", truth)
    n = split($0, part, /"label":"/)
    pictures++
    for (k = 2; k <= n; k++) {
        label = part[k]
        sub(/".*/, "", label)
        if (label == truth) { top5++; if (k == 2) { top1++ } }
        if (k == 2 && label != truth) { print "pair " truth "|" label }
    }
}
END { print pictures, top1 + 0, top5 + 0 }' answers >counted
read -r pictures top1 top5 < <(tail -1 counted)
test "$pictures" -eq 12 && test "$top1" -ge 9 && test "$top1" -le 11
report $? "classify answers $pictures pictures, $top1 rightly"
grep -q "\"pictures\":$pictures,\"top1_correct\":$top1,\"top5_correct\":$top5," json
report $? "eval counts the same"
grep -q '"failed":1' json
report $? "and the failed one"
grep '^pair' counted | while IFS='|' read -r truth label; do
    grep -qF "{\"class\":\"${truth#pair }\",\"taken_for\":\"$label\",\"pictures\":" json ||
        echo missing
done >missing
test -s counted && test ! -s missing
report $? "every confusion is there"
test "$(grep -o '"taken_for"' json | wc -l)" -eq "$(grep '^pair' counted | sort -u | wc -l)"
report $? "and no other"
grep -q '{"class":"house","taken_for":"rocket","pictures":1}' json
report $? "the picture in the wrong folder is a confusion"
mv data/house/rocket.png data/rocket/
run eval data --labels names.txt --format json
grep -q "\"pictures\":$pictures,\"top1_correct\":$((top1 + 1))," out
report $? "in the right one it is right"
cp out right
for option in "--threads 1" "--threads 3" "--batch 1" "--batch 5"; do
    # shellcheck disable=SC2086
    run eval data --labels names.txt --format json $option
    same out right "$option: the same"
done

# ---- Classes -------------------------------------------------------------------------------------
rm data/octopus/bad.png
run eval data --format json
exits 0 "classes of the data"
prints '"classes":13,' "classes of the data"
prints '{"class":"house","pictures":0,"top1_correct":0,"top5_correct":0,"top1":null,"top5":null}' \
    "a class without pictures"
run eval data
exits 0 "table"
prints "classes without pictures: 1 of 13" "table"
grep -Eq '^ +[0-9.]+ % +[0-9.]+ % +12  all$' out
report $? "table: the whole"
run bank --labels names.txt -o names.safetensors
run eval data --bank names.safetensors --format json
grep -q "\"pictures\":12,\"top1_correct\":$((top1 + 1))," out
report $? "--bank"
ls data | awk '{ printf "%s\tclass %d\n", $1, NR }' >mapped.txt
run eval data --labels mapped.txt --format json
exits 0 "FOLDER<TAB>NAME"
prints '{"class":"class 1","pictures":1,' "FOLDER<TAB>NAME"
run eval data --classes "house,rocket" --format json
exits 1 "--classes that lack a folder"
says 'no class is called "dog_face"' "--classes that lack a folder"

# ---- Halves --------------------------------------------------------------------------------------
run eval data --base-new --format json
cp out halves
prints '"base":{"classes":7,' "--base-new"
prints '"new":{"classes":6,' "--base-new"
find data -type f | sort | awk -F/ '{ print $0 "\t" $2 }' >list.tsv
ls data | LC_ALL=C sort | head -7 >base.txt
awk -F'\t' 'NR == FNR { base[$1]; next } $2 in base' base.txt list.tsv >base.tsv
tr _ ' ' <base.txt >base_names.txt
run eval base.tsv --labels base_names.txt --format json
alone=$(grep -o '"pictures":[0-9]*,"top1_correct":[0-9]*,"top5_correct":[0-9]*' out | head -1)
grep -qF "\"base\":{\"classes\":7,$alone" halves
report $? "the base half alone gives the same"
awk '{
    match($0, /"base".*"new"/); base = substr($0, RSTART, RLENGTH)
    match(base, /"top1":[0-9.]*/); b = substr(base, RSTART + 7, RLENGTH - 7)
    match($0, /"new".*"harmonic_mean":[0-9.]*/); fresh = substr($0, RSTART, RLENGTH)
    match(fresh, /"top1":[0-9.]*/); n = substr(fresh, RSTART + 7, RLENGTH - 7)
    match(fresh, /[0-9.]*$/); h = substr(fresh, RSTART, RLENGTH)
    d = h - 2 * b * n / (b + n)
    exit !(h > 0 && d < 2e-6 && d > -2e-6)
}' halves
report $? "the harmonic mean"
run eval data --base-new --bank names.safetensors
exits 1 "--base-new with a bank"
run eval data --base-new
prints "harmonic mean of base and new" "--base-new as a table"

# ---- Lists ---------------------------------------------------------------------------------------
run eval list.tsv --format json
cp out of_list
rmdir data/house # no list holds a class without pictures
run eval data --format json
same out of_list "a list answers as its folder does"
{ echo path,label; sed 's/\t/,/' list.tsv; } >list.csv
run eval list.csv --format json
same out of_list "a .csv"
cut -f2 list.tsv | sort -u | tr _ ' ' >listed.txt
timeout 300 "$CLIPCU" eval - --labels listed.txt --format json <list.tsv >out 2>err
same out of_list "standard input"
run eval - --format json
exits 1 "standard input without classes"
says "give them with --labels" "standard input without classes"
{ printf 'gone.jpg\toctopus\n'; echo "no tab"; cat list.tsv; } >broken.tsv
run eval broken.tsv --labels names.txt
exits 1 "a line without a label"
says "broken.tsv: line 2: expected PATH<TAB>LABEL" "a line without a label"
sed -i 2d broken.tsv
run eval broken.tsv --labels names.txt --device cpu
exits 2 "a missing picture"
says gone.jpg "a missing picture"
prints "pictures not counted, with an error: 1" "a missing picture"
mkdir empty
run eval empty
exits 1 "an empty folder"
says "empty: expected a folder for each class" "an empty folder"
run eval
exits 1 "no data"
run eval "$emoji/octopus.png"
exits 1 "a picture"
says "found a picture" "a picture"

# ---- Where it goes -------------------------------------------------------------------------------
run eval data --format json -o result.json
test ! -s out
report $? "-o: nothing on standard output"
run eval data --format json
same out result.json "-o: the same"
run eval data --labels names.txt --html page.html
exits 0 "--html"
grep -q '>octopus<' page.html
report $? "the page names its classes"
run eval list.tsv -o list.tsv
exits 1 "-o is what it reads"
run eval data -o no/folder/x
exits 3 "-o in no folder"
finish
