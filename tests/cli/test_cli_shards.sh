#!/usr/bin/env bash
# Archives, patterns and tasks as inputs of classify and embed: the same pictures give the same
# results wherever they stand, captions come along, and damaged archives lose nothing silently.
. "$(dirname "$0")/common.sh"

photos=$CLIPCU_SOURCE/tests/data/images
classes="a,b"
mkdir in
for i in 0 1 2 3 4 5 6 7 8 9; do
    cp "$photos/jpeg_rgb.jpg" "in/00$i.jpg"
    printf 'picture %s, "quoted"\n' "$i" >"in/00$i.txt"
    printf '{\n  "id": 1234567890123456789%s,\n  "a b": [1, 2]\n}\n' "$i" >"in/00$i.json"
    echo "$i" >"in/00$i.cls"
done
(cd in && tar cf ../plain.tar --sort=name --format=ustar *) || { echo "no tar"; exit 77; }

# lines FILE: results without what differs between a folder and an archive of it
lines() { sed -e 's|"path":"[^"]*/|"path":"|' -e 's|,"text":.*}$|}|' "$1"; }

# ---- The same pictures from a folder and from an archive -----------------------------------------
run classify --model "$model" in --classes "$classes" --format jsonl
lines out >folder
run classify --model "$model" plain.tar --classes "$classes" --format jsonl --batch 3
exits 0 "an archive"
lines out | cmp -s - folder
report $? "an archive gives what its folder gives"
prints '{"path":"plain.tar/003.jpg","labels":[' "paths lead through the archive"
prints ',"text":"picture 3, \"quoted\"","json":{"id":12345678901234567893,"a b":[1,2]}}' \
    "caption and description come along, digits and all"
is_jsonl out
report $? "every line is JSON"
cp out first

for kind in gz bz2 xz zst; do
    case $kind in
    gz) pack=gzip ;; bz2) pack=bzip2 ;; xz) pack=xz ;; *) pack=zstd ;;
    esac
    if ! command -v $pack >/dev/null; then skip "plain.tar.$kind" "no $pack here"; continue; fi
    $pack -c plain.tar >"plain.tar.$kind"
    run classify --model "$model" "plain.tar.$kind" --classes "$classes" --format jsonl
    sed "s/plain.tar.$kind/plain.tar/" out | cmp -s - first
    report $? "compressed with $pack: the same"
done
for format in gnu posix; do
    (cd in && tar cf "../$format.tar" --sort=name --format=$format *)
    run classify --model "$model" "$format.tar" --classes "$classes" --format jsonl
    sed "s/$format.tar/plain.tar/" out | cmp -s - first
    report $? "tar --format=$format: the same"
done

run embed --model "$model" plain.tar -o vectors
exits 0 "embed of an archive"
test "$(wc -l <vectors.jsonl)" -eq 10 && grep -qF '"row":9,"text":"picture 9' vectors.jsonl
report $? "embed keeps captions beside the rows"
run classify --model "$model" plain.tar --classes "$classes" --format csv --top 1
exits 0 "an archive as CSV"
run classify --model "$model" plain.tar in/000.jpg plain.tar --classes "$classes" --format jsonl
test "$(wc -l <out)" -eq 21
report $? "archives and pictures one after the other"

# ---- Names ---------------------------------------------------------------------------------------
mkdir -p odd/deep.dir/.hidden
cp in/000.jpg "odd/deep.dir/with space.v1.JPG"
cp in/000.jpg odd/deep.dir/._ghost.jpg
cp in/000.jpg odd/deep.dir/.hidden/seen.jpg
cp in/000.jpg odd/täst.jpg
cp in/000.jpg odd/two.a.jpg
cp in/000.jpg odd/two.b.jpg
printf 'both' >odd/two.txt
printf '[1]' >odd/two.json
ln -s two.a.jpg odd/link.jpg
for format in ustar posix; do
    (cd odd && LC_ALL=C tar cf "../odd-$format.tar" --sort=name --format=$format .)
    run classify --model "$model" "odd-$format.tar" --classes "$classes" --format jsonl
    exits 0 "odd names, $format"
    sed 's/^{"path":"\([^"]*\)".*/\1/' out >names
    printf 'odd-%s.tar/%s\n' $format "deep.dir/.hidden/seen.jpg" $format \
        "deep.dir/with space.v1.JPG" $format two.a.jpg $format two.b.jpg $format täst.jpg >expected
    same names expected "odd names, $format: hidden and linked ones are passed over"
    test "$(grep -c '"text":"both"' out)" -eq 2
    report $? "one caption for two pictures of a sample, $format"
    says "1 texts in it were left out: too long, or no JSON object" "a .json that is no object"
done

# ---- Damage --------------------------------------------------------------------------------------
bytes=$(wc -c <plain.tar)
head -c $((bytes / 2)) plain.tar >cut.tar
run classify --model "$model" cut.tar in/000.jpg --classes "$classes" --format jsonl
exits 2 "an archive cut short"
test "$(grep -c '"error":' out)" -eq 1
report $? "one error line for it"
prints 'the archive cannot be read on: ' "an archive cut short"
tail -1 out | grep -q '"path":"in/000.jpg","labels"'
report $? "the run goes on behind it"
echo "no archive" >wrong.tar
: >empty.tar
mkfifo pipe.tar
ln -s nowhere missing.tar
mkdir folder.tar
cp in/000.jpg folder.tar
for name in wrong empty pipe missing; do
    run classify --model "$model" $name.tar in/000.jpg --classes "$classes" --format jsonl
    exits 2 "$name.tar"
    test "$(wc -l <out)" -eq 2 && test "$(grep -c "^{\"path\":\"$name.tar\",\"error\":" out)" -eq 1
    report $? "$name.tar: one error line, and the run goes on"
done
run classify --model "$model" folder.tar --classes "$classes" --format jsonl
exits 0 "a folder whose name ends like an archive's"
if test -f plain.tar.gz; then
    { head -c 2000 plain.tar.gz; head -c 3000 /dev/zero; } >damaged.tar.gz
    run classify --model "$model" damaged.tar.gz --classes "$classes" --format jsonl
    exits 2 "a damaged .tar.gz"
fi
tar cf none.tar in/000.txt
run classify --model "$model" none.tar --classes "$classes" --format jsonl
exits 0 "an archive without pictures"
says "none.tar: no pictures in this archive" "an archive without pictures"
cp in/000.jpg in.zip
run classify --model "$model" in.zip --classes "$classes"
exits 1 "a .zip"
says "found an archive; unpack it" "a .zip"
run eval --model "$model" plain.tar
test "$status" -ne 0
report $? "eval wants labels, which archives do not have"

# ---- Patterns ------------------------------------------------------------------------------------
for i in 08 09 10; do cp plain.tar "shard-$i.tar"; done
run classify --model "$model" 'shard-{08..10}.tar' --classes "$classes" --format jsonl
exits 0 "a range of archives"
test "$(sed 's/^{"path":"\([^/]*\).*/\1/' out | uniq | tr '\n' ' ')" = \
    "shard-08.tar shard-09.tar shard-10.tar "
report $? "a range of archives, in order"
cp out range
run classify --model "$model" 'shard-*.tar' --classes "$classes" --format jsonl
same out range "* finds the same"
run classify --model "$model" 'sh{ard,no}-{09..10..2}.tar' --classes "$classes" --format jsonl
exits 2 "what no range is stands for itself"
prints '{"path":"shard-{09..10..2}.tar","error":"cannot open' "what no range is"
run classify --model "$model" 'in/00{3,1}.jpg' 'nothing-*.jpg' --classes "$classes" --format jsonl
exits 2 "a pattern that nothing matches"
sed 's/^{"path":"\([^"]*\)".*/\1/' out >names
printf 'in/003.jpg\nin/001.jpg\nnothing-*.jpg\n' | cmp -s names -
report $? "lists keep their order"
cp in/000.jpg 'in/[x]{1..3}.jpg'
run classify --model "$model" 'in/[x]{1..3}.jpg' --classes "$classes" --format jsonl
exits 0 "a file that has the name of a pattern"
run classify --model "$model" 'x{1..99999}{1..99999}.tar' --classes "$classes" --format jsonl
exits 2 "too many names"
prints 'expected at most 8 braces and 10000000 names' "too many names"

# ---- Tasks ---------------------------------------------------------------------------------------
rm in/\[x*
for i in 0 1 2; do
    run classify --model "$model" 'shard-{08..10}.tar' --classes "$classes" --format jsonl \
        --task $i/3
    cat out >>tasks
    test "$(wc -l <out)" -eq 10
    report $? "--task $i/3 takes one archive of three"
done
same tasks range "three tasks take all of them"
for i in 0 1 2 3; do
    "$CLIPCU" embed --model "$model" in -q --task $i/4 | sed 's/,"emb.*//' >>parts
done
test "$(sort parts | uniq | wc -l)" -eq 10 && test "$(wc -l <parts)" -eq 10
report $? "four tasks take each picture once"
for wrong in 3/3 -1/3 1 1/ /3 1/0 1/3x 99999999999999999999/3; do
    run classify --model "$model" in --classes "$classes" --task=$wrong
    exits 1 "--task $wrong"
done
finish
