#!/bin/bash
# Where results go and what they look like: formats, files, vectors, banks, full disks, closed
# pipes, signals.
. "$(dirname "$0")/common.sh"
export CLIPCU_MODEL=$model
classes="--classes red,green,blue"
ppm red.ppm 377 000 000
ppm green.ppm 000 310 000
ppm blue.ppm 000 000 377
printf 'not a picture' >bad.jpg
pictures="red.ppm bad.jpg green.ppm blue.ppm"

# ---- Formats -------------------------------------------------------------------------------------
# shellcheck disable=SC2086
{
    run classify $pictures $classes --format jsonl
    cp out results.jsonl
    run classify $pictures $classes --format csv
    cp out results.csv
    run classify $pictures $classes
    cp out results.table
}
says "4 images, 1 error" "the summary"
is_jsonl results.jsonl
report $? "jsonl"
columns=$(printf 'label_%d,probability_%d,cosine_%d,' 1 1 1 2 2 2 3 3 3)
test "$(head -1 results.csv)" = "path,${columns}error"
report $? "csv: the header"
test "$(wc -l <results.csv)" -eq 5
report $? "csv: a line each"
grep -qx 'red.ppm' results.table
report $? "table: the path"
test "$(grep -cE '^ {1,2}[ 0-9]{1,3}\.[0-9] %  (red|green|blue)$' results.table)" -eq 9
report $? "table: three percentages per picture"
grep -q "$(printf '\033')" results.table
test $? -eq 1
report $? "table: no colours unless on a terminal"
if test -n "$python"; then
    "$python" - <<'END' 2>err
import csv, json
rows = list(csv.DictReader(open("results.csv", newline="")))
items = [json.loads(line) for line in open("results.jsonl")]
assert [row["path"] for row in rows] == [item["path"] for item in items]
for row, item in zip(rows, items):
    assert ("error" in item) == (row["error"] != "") == (item["path"] == "bad.jpg")
    labels = item.get("labels", [])
    for i, label in enumerate(labels, 1):
        assert row["label_%d" % i] == label["label"]
        assert float(row["probability_%d" % i]) == label["probability"]
        assert float(row["cosine_%d" % i]) == label["cosine"]
    if labels:
        parts = [label["probability"] for label in labels]
        assert abs(sum(parts) - 1) < 1e-4 and parts == sorted(parts, reverse=True), parts
END
    report $? "jsonl and csv say the same, probabilities add up to 1"
else
    skip "jsonl and csv say the same" "no python3"
fi
# shellcheck disable=SC2086
{
    run classify $pictures $classes --format jsonl --scores all.npy
    same out results.jsonl "results do not change with --scores"
    run classify $pictures $classes --format jsonl --scores half.npy --dtype f16 -o x.jsonl
}
if test -n "$python"; then
    "$python" - <<'END' 2>err
import json, struct
def matrix(path, letter):
    data = open(path, "rb").read()
    assert ("'<f%d'" % struct.calcsize(letter)).encode() in data[:128] and b"(4, 3)" in data[:128]
    flat = [n for (n,) in struct.iter_unpack("<" + letter, data[128:])]
    return [flat[i:i + 3] for i in range(0, 12, 3)]
whole, half = matrix("all.npy", "f"), matrix("half.npy", "e")
for row, rounded, line in zip(whole, half, open("results.jsonl")):
    item = json.loads(line)
    if "error" in item:
        assert all(n != n for n in row + rounded)
        continue
    cosines = dict(zip(("red", "green", "blue"), row))
    for label in item["labels"]:
        assert abs(cosines[label["label"]] - label["cosine"]) < 1e-6
    assert all(abs(a - b) <= abs(a) * 2.0 ** -11 for a, b in zip(row, rounded)), (row, rounded)
END
    report $? "--scores: every cosine, in f32 and in f16, NaN for a damaged picture"
else
    skip "--scores: every cosine" "no python3"
fi
# shellcheck disable=SC2086
{
    run classify red.ppm $classes --scores same.x -o same.x
    exits 1 "--scores and -o under one name"
    says "-o and --scores are both same.x" "--scores and -o under one name"
    run classify red.ppm $classes --scores red.ppm
    exits 1 "--scores over an input"
    run classify red.ppm $classes --scores no/such/folder.npy
    exits 3 "--scores where nothing can be written"
    run classify red.ppm $classes --scores /dev/full
    exits 3 "--scores to a device"
    run classify red.ppm $classes --stats red.ppm
    exits 1 "--stats over an input"
}
# shellcheck disable=SC2086
run classify red.ppm $classes --top 1000 --format jsonl
exits 0 "--top above the number of classes"
test "$(grep -o '"label":' out | wc -l)" -eq 3
report $? "--top above the number of classes: all of them"
# shellcheck disable=SC2086
run classify red.ppm $classes -k 1 --format jsonl
test "$(grep -o '"label":' out | wc -l)" -eq 1
report $? "-k 1"
# shellcheck disable=SC2086
run classify red.ppm $classes --quiet
test ! -s err
report $? "--quiet says nothing"

if script -qec true /dev/null >/dev/null 2>&1; then
    TERM=xterm script -qec "$CLIPCU classify red.ppm $classes --quiet" /dev/null </dev/null >out
    grep -q "$(printf '\033')\[" out && grep -q '%' out
    report $? "colours on a terminal"
    NO_COLOR=1 TERM=xterm script -qec "$CLIPCU classify red.ppm $classes --quiet" /dev/null \
        </dev/null >out
    grep -q "$(printf '\033')" out
    test $? -eq 1 && grep -q '%' out
    report $? "no colours with NO_COLOR"
else
    skip "colours" "no script command to make a terminal with"
fi

# ---- Files ---------------------------------------------------------------------------------------
# shellcheck disable=SC2086
run classify $pictures $classes --format jsonl -o file.jsonl
exits 2 "-o FILE"
test ! -s out
report $? "-o FILE: nothing on standard output"
same file.jsonl results.jsonl "-o FILE: the same results"
test ! -e file.jsonl.part
report $? "-o FILE: no .part is left"
# shellcheck disable=SC2086
run classify $pictures $classes -o no/such/folder/file
exits 3 "-o in a folder that is not there"
says no/such/folder "-o in a folder that is not there"
# shellcheck disable=SC2086
run classify $pictures $classes --format jsonl -o -
same out results.jsonl "-o - is standard output"
# shellcheck disable=SC2086
run classify $pictures $classes -o /dev/null
exits 2 "-o /dev/null"

if test -w /dev/full; then
    for words in "classify red.ppm $classes" "embed red.ppm" info --help --version; do
        status=0
        # shellcheck disable=SC2086
        timeout 300 "$CLIPCU" $words >/dev/full 2>err || status=$?
        exits 3 "a full disk: ${words%% *}"
        says "cannot write" "a full disk: ${words%% *}"
    done
else
    skip "a full disk" "no /dev/full"
fi
status=0
# shellcheck disable=SC2086
timeout 300 "$CLIPCU" classify red.ppm $classes >&- 2>err || status=$?
exits 3 "standard output is closed"

for _ in $(seq 300); do echo red.ppm; done >many.txt
# shellcheck disable=SC2086
timeout 300 "$CLIPCU" classify many.txt $classes --batch 1 --device cpu --format jsonl 2>err |
    head -1 >out
codes=("${PIPESTATUS[@]}")
status=${codes[0]}
exits 3 "a closed pipe"
test ! -s err && test "$(wc -l <out)" -eq 1
report $? "a closed pipe: without a word"

# ---- Signals -------------------------------------------------------------------------------------
set -m # a group of its own for each job: SIGINT is not ignored there
for signal in INT TERM; do
    rm -f slow part.jsonl part.jsonl.part
    mkfifo slow
    # shellcheck disable=SC2086
    "$CLIPCU" classify - $classes --format jsonl -o part.jsonl <slow >out 2>err &
    process=$!
    exec 9>slow
    printf 'red.ppm\ngreen.ppm\n' >&9
    for _ in $(seq 600); do
        test "$(cat part.jsonl.part 2>/dev/null | wc -l)" -eq 2 && break
        sleep 0.1
    done
    kill -$signal $process
    status=0
    wait $process || status=$?
    exec 9>&-
    if test $signal = INT; then wanted=130; else wanted=143; fi
    exits $wanted "SIG$signal"
    says "part.jsonl.part" "SIG$signal: says where the results are"
    test ! -e part.jsonl && test "$(wc -l <part.jsonl.part)" -eq 2 && is_jsonl part.jsonl.part
    report $? "SIG$signal: what was done is kept, under its temporary name"
done
set +m

# ---- Vectors -------------------------------------------------------------------------------------
# shellcheck disable=SC2086
run embed $pictures -o vectors
exits 2 "embed -o"
is_jsonl vectors.jsonl
report $? "embed: PREFIX.jsonl"
test "$(grep -c '"row":' vectors.jsonl)" -eq 4 && grep -q '"row":1,"error":' vectors.jsonl
report $? "embed: every input has a row"
# shellcheck disable=SC2086
run embed $pictures -o named.npy
same named.npy vectors.npy "embed -o PREFIX.npy is PREFIX"
width=$("$CLIPCU" info --format json | sed 's/.*"embed_dim":\([0-9]*\).*/\1/')
test "$(wc -c <vectors.npy)" -eq $((128 + 4 * 4 * width))
report $? "embed: PREFIX.npy has 4 rows of $width"
# shellcheck disable=SC2086
run embed $pictures
exits 2 "embed to standard output"
is_jsonl out
report $? "embed to standard output: JSON lines"
cp out vectors.out
printf 'a cat\n\na "dog"\r\n%s\n' "$(seq -s ' ' 200)" >lines.txt
run embed --text lines.txt -o texts
exits 2 "embed --text"
test "$(wc -l <texts.jsonl)" -eq 4 && sed -n 4p texts.jsonl | grep -q '"row":3,"error":'
report $? "embed --text: a row for each line, also an empty one"
run embed --text lines.txt --truncate -o texts
exits 0 "embed --text --truncate"
status=0
"$CLIPCU" embed --text - <lines.txt >out 2>err || status=$?
exits 2 "embed --text -"
cp out texts.out
if test -n "$python"; then
    "$python" - "$width" <<'END' 2>err
import json, math, struct, sys
width = int(sys.argv[1])
def rows(path):
    data = open(path, "rb").read()
    assert data[:8] == b"\x93NUMPY\x01\x00"
    size = struct.unpack("<H", data[8:10])[0]
    head = eval(data[10:10 + size])
    assert (10 + size) % 64 == 0 and head["descr"] == "<f4" and not head["fortran_order"]
    count, columns = head["shape"]
    assert columns == width and len(data) == 10 + size + 4 * count * columns
    return [struct.unpack_from("<%df" % columns, data, 10 + size + 4 * columns * i)
            for i in range(count)]
def items(path):
    return [json.loads(line) for line in open(path)]
matrix = rows("vectors.npy")
for i, (row, line, printed) in enumerate(zip(matrix, items("vectors.jsonl"), items("vectors.out"))):
    assert line["row"] == i and line["path"] == printed["path"]
    assert ("error" in line) == ("error" in printed) == all(map(math.isnan, row))
    if "error" in line: continue
    assert abs(sum(x * x for x in row) - 1) < 1e-5
    assert struct.pack("<%df" % width, *printed["embedding"]) == struct.pack("<%df" % width, *row)
texts = items("texts.jsonl")
assert [line["text"] for line in texts[:3]] == ["a cat", "", 'a "dog"'], texts
assert len(rows("texts.npy")) == 4
END
    report $? "vectors: unit rows, NaN for errors, the same in both forms"
else
    skip "vectors: what is in the rows" "no python3"
fi
run embed red.ppm -o no/such/folder/vectors
exits 3 "embed -o in a folder that is not there"

# ---- Banks ---------------------------------------------------------------------------------------
# shellcheck disable=SC2086
run bank $classes -o colours.safetensors
exits 0 "bank"
says "3 classes, 1 template" "bank"
# shellcheck disable=SC2086
run classify $pictures --bank colours.safetensors --format jsonl
exits 2 "classify --bank"
same out results.jsonl "classify --bank: as with the same classes"
printf 'red\ngreen\nblue\n' >labels.txt
# shellcheck disable=SC2086
run classify $pictures --labels labels.txt --format jsonl
same out results.jsonl "classify --labels: as with the same classes"
# shellcheck disable=SC2086
run classify $pictures --labels labels.txt --templates single --format jsonl
same out results.jsonl "--templates single is the default"
printf 'a photo of a {}.\n' >one.txt
# shellcheck disable=SC2086
run classify $pictures --labels labels.txt --templates one.txt --format jsonl
same out results.jsonl "--templates FILE: as the same one built in"
# shellcheck disable=SC2086
run bank $classes --templates openai7 -o seven.safetensors
says "7 templates" "bank --templates openai7"
run classify red.ppm --bank seven.safetensors
exits 0 "classify with the bank of 7 templates"
run info --bank colours.safetensors
exits 0 "info --bank"
prints "green" "info --bank"
run info --bank colours.safetensors --format json --model "$model"
is_jsonl out
report $? "info --bank --format json"
prints '"fits_model":true' "info --bank --model"
run info --bank colours.safetensors --model "$other_model"
prints "no: it was made with another" "info --bank with another model"
run classify red.ppm --bank colours.safetensors --model "$other_model"
exits 1 "a bank of another model"
says "made with another model" "a bank of another model"
printf 'red\n%s\n' "$(seq -s ' ' 200)" >long.txt
run bank --labels long.txt -o long.safetensors
exits 1 "a class name that is too long"
says "--truncate" "a class name that is too long"
test ! -e long.safetensors
report $? "a class name that is too long: no file"
finish
