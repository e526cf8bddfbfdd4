#!/usr/bin/env bash
# clipcu learn and what --prompt does with its files: results, going on after a kill, bad input.
. "$(dirname "$0")/common.sh"

# Four classes, six pictures each: the same colours, which random views do not tell apart.
i=0
for class in red_fox blue_bird 'green frog' dog; do
    mkdir -p "data/$class"
    for n in 1 2 3 4 5 6; do ppm "data/$class/$n.ppm" "$((i * 100))" "$((n * 40))" 377; done
    i=$((i + 1))
done

learn() { # ARGUMENT...: into p.safetensors
    run learn "$@" --model "$model" -o p.safetensors
}

# ---- Learning, and using what was learned -------------------------------------------------------
learn coop data --shots 4 --epochs 3 --ctx 4 --batch 5 --log log.jsonl
exits 0 "coop"
says "epoch 3/3: rate 0.0015, loss " "coop"
test -s p.safetensors && test ! -e p.safetensors.checkpoint
report $? "the prompt is there, the checkpoint is gone"
is_jsonl log.jsonl && test "$(wc -l <log.jsonl)" -eq 3 &&
    grep -q '"epoch":2,"rate":0.00200000009,"loss":' log.jsonl
report $? "a line of the log for each epoch: $(tail -1 log.jsonl)"
grep -qF '"pictures":15}' log.jsonl
report $? "16 pictures are 3 whole batches of 5"
cp p.safetensors whole.safetensors
cp log.jsonl whole.jsonl

learn coop data --shots 4 --epochs 3 --ctx 4 --batch 5
same p.safetensors whole.safetensors "learning twice gives the same bytes"
learn coop data --shots 4 --epochs 3 --ctx 4 --batch 5 --threads 1
same p.safetensors whole.safetensors "so it does on one thread"
learn coop data --shots 4 --epochs 3 --ctx 4 --batch 5 --seed 2
! cmp -s p.safetensors whole.safetensors
report $? "another seed gives others"

run classify --model "$model" --prompt whole.safetensors data/dog/1.ppm --format jsonl
exits 0 "classify --prompt"
prints '"label":"red fox"' "classify --prompt takes the names it was learned with"
run classify --model "$model" --prompt whole.safetensors data/dog/1.ppm --classes "a,b" \
    --format jsonl
exits 0 "classify --prompt --classes"
prints '"label":"b"' "classify --prompt takes other names"
run bank --model "$model" --prompt whole.safetensors -o b.safetensors
exits 0 "bank --prompt"
run classify --model "$model" --bank b.safetensors data --format jsonl
cp out by_bank
run classify --model "$model" --prompt whole.safetensors data --format jsonl
same out by_bank "a bank made of the prompt answers as the prompt does"
run eval --model "$model" --prompt whole.safetensors data --base-new --format json
exits 0 "eval --prompt --base-new"
prints '"harmonic_mean":' "eval --prompt --base-new"

learn cocoop data --shots 2 --epochs 2 --init "a photo of a" --base-new
exits 0 "cocoop"
cp p.safetensors co.safetensors
run eval --model "$model" --prompt co.safetensors data --base-new
exits 0 "eval --prompt of cocoop"
run classify --model "$model" --prompt co.safetensors data/dog/1.ppm data/dog/2.ppm --format jsonl
exits 0 "classify --prompt of cocoop"
head -1 out | sed 's/.*labels//' >one
tail -1 out | sed 's/.*labels//' >two
! cmp -s one two
report $? "its classes move with the picture"
run bank --model "$model" --prompt co.safetensors -o none.safetensors
exits 3 "a bank of cocoop"
says "depend on the picture" "a bank of cocoop"
learn cocoop data --shots 2 --epochs 1 --ctx 2 --batch 3
exits 0 "cocoop in larger batches"
learn coop data --shots 2 --epochs 2 --ctx 2 --class-specific --position middle --fixed-views 2
exits 0 "class-specific, middle, fixed views"
cp p.safetensors specific.safetensors

# ---- A split file of CoOp ------------------------------------------------------------------------
part() { # FIRST LAST: entries of pictures of all classes; labels in another order than names
    for n in $(seq "$1" "$2"); do
        printf '["dog/%d.ppm",0,"dog"],["red_fox/%d.ppm",1,"red_fox"],' "$n" "$n"
        printf '["blue_bird/%d.ppm",2,"blue bird"]%s' "$n" "$([ "$n" = "$2" ] || echo ,)"
    done
}
printf '{"train":[%s],"val":[],"test":[%s]}' "$(part 1 4)" "$(part 5 6)" >data/split.json
learn coop data/split.json --shots 4 --epochs 1 --ctx 2 --batch 12 --log split.jsonl
exits 0 "coop of a split file"
grep -qF '"pictures":12}' split.jsonl
report $? "the part train: $(cat split.jsonl)"
run eval --model "$model" --prompt p.safetensors data/split.json --format json
exits 0 "eval of a split file"
prints '"pictures":6' "the part test"
prints '"per_class":[{"class":"dog","pictures":2' "classes by their label"
mv data/split.json split.json
learn coop split.json --root data --shots 4 --epochs 1 --ctx 2
exits 0 "--root"
learn coop split.json --shots 4 --epochs 1 --ctx 2
exits 3 "paths that start elsewhere"
says ".ppm: cannot open" "paths that start elsewhere"
echo '{"train":[["a.jpg",0]]}' >bad.json
learn coop bad.json
exits 1 "an entry without a name"
says 'bad.json: train[0]: expected [path, label from 0, name of the class]' "it is named"

# ---- Looking at it -------------------------------------------------------------------------------
run info --prompt whole.safetensors
exits 0 "info --prompt"
prints "context      4 vectors of" "info --prompt"
prints "red fox" "info --prompt shows classes"
learn coop data --shots 1 --epochs 1 --init "a photo of a"
run info --prompt p.safetensors --model "$model"
exits 0 "info --prompt --model"
for near in 'vector 1 *a ' 'vector 2 *photo ' 'vector 3 *of ' 'vector 4 *a '; do
    grep -q "$near" out
    report $? "after next to no learning the nearest word is that it began as: $near"
done
run info --prompt p.safetensors --model "$model" --format json
is_jsonl out && grep -q '"nearest":\[\[{"id":[0-9]*,"text":"a","ends_word":true,"distance":' out
report $? "info --prompt --format json"
run info --prompt specific.safetensors --model "$model"
exits 0 "info of a class-specific prompt"
run info --prompt whole.safetensors --bank b.safetensors
exits 1 "info of two things"
run info --prompt whole.safetensors --model "$other_model"
exits 1 "info --prompt, another model"

# ---- Going on ------------------------------------------------------------------------------------
arguments=(coop data --shots 4 --epochs 40 --ctx 4 --batch 5 --model "$model" -o q.safetensors)
"$CLIPCU" learn "${arguments[@]}" -q --log q.jsonl
cp q.safetensors uninterrupted
cp q.jsonl uninterrupted.jsonl
kills=0
for delay in 0.05 0.12 0.2 0.3 0.4 0.5; do
    rm -f q.safetensors q.jsonl
    "$CLIPCU" learn "${arguments[@]}" -q --resume --log q.jsonl &
    sleep $delay
    kill -9 $! 2>/dev/null && kills=$((kills + 1))
    wait $! 2>/dev/null
done
test "$kills" -gt 0
report $? "killed $kills times, $(ls q.safetensors* 2>/dev/null | tr '\n' ' ')left"
run learn "${arguments[@]}" --resume --log q.jsonl
exits 0 "--resume"
same q.safetensors uninterrupted "killed and resumed: the same bytes"
same q.jsonl uninterrupted.jsonl "killed and resumed: the same log"

rm -f q.safetensors
"$CLIPCU" learn "${arguments[@]}" --epochs 4000 -q &
sleep 0.6
kill -TERM $! # a shell's background jobs ignore SIGINT
wait $!
test $? -eq 143 && test -s q.safetensors.checkpoint && test ! -e q.safetensors
report $? "a signal leaves the checkpoint"
run learn "${arguments[@]}" --resume
exits 1 "a checkpoint of other settings"
says "epochs 4000" "a checkpoint of other settings"
run learn "${arguments[@]}" --epochs 4000 --ctx 5 --resume
exits 1 "a checkpoint of another prompt"
says "begun with another kind or number" "a checkpoint of another prompt"
rm -f q.safetensors.checkpoint

# ---- Bad input -----------------------------------------------------------------------------------
refused() { # STATUS TEXT NAME ARGUMENT...
    local wanted=$1 text=$2 name=$3
    shift 3
    run "$1" --model "$model" "${@:2}"
    exits "$wanted" "$name"
    says "$text" "$name"
    test "$(grep -vc '^clipcu: warning' err)" -eq 1
    report $? "$name: one line"
}
refused 1 "Expected coop or cocoop first, found data" "no method" learn data -o x
refused 1 "which pictures?" "no data" learn coop -o x
refused 1 "where to?" "no output" learn coop data
refused 1 'found "fast"' "a rate that is none" learn coop data --rate fast -o x
refused 1 "5 in 9 tokens" "words of several tokens" learn coop data --init "a photo of a zebra" -o x
refused 1 "expected one of --init" "init for each class" \
    learn coop data --init a --class-specific -o x
refused 1 "shared by all classes" "cocoop for each class" learn cocoop data --class-specific -o x
refused 1 "expected 1 .. 73" "vectors beyond the context" learn coop data --ctx 74 -o x
refused 1 "the context has room for 77" "prompts beyond the context" \
    learn coop data --ctx 73 -o x
refused 1 "left the numbers at rate" "a rate too high" \
    learn coop data --rate 1e30 --epochs 3 --shots 2 --ctx 2 -q -o x
refused 3 "found a device" "a device for a file" learn coop data -o /dev/full
refused 3 "/no/where" "no such folder" learn coop data -o /no/where/x
mkdir -p poor/full poor/none
cp data/dog/*.ppm poor/full
refused 1 "none" "a class without pictures" learn coop poor -o x
learn coop data --shots 9 --epochs 1
exits 0 "more shots than pictures"
says "has only 6; all of them are taken" "more shots than pictures"
refused 1 "learned with another model" "a prompt of another model" \
    classify --prompt whole.safetensors data/dog/1.ppm --model "$other_model"
refused 1 "the 4 class names it was learned with, found 2" "class-specific, other names" \
    classify --prompt specific.safetensors data/dog/1.ppm --classes a,b
refused 1 "not a learned prompt" "a bank as a prompt" \
    classify --prompt b.safetensors data/dog/1.ppm
refused 1 "expected one of --templates and --prompt" "templates and a prompt" \
    classify --prompt whole.safetensors data/dog/1.ppm --templates openai7
refused 1 "expected one of --bank and --prompt" "a bank and a prompt" \
    eval --prompt whole.safetensors data --bank b.safetensors
head -c 300 whole.safetensors >cut.safetensors
refused 1 "cut.safetensors" "a prompt cut short" classify --prompt cut.safetensors data/dog/1.ppm
printf 'junk' >data/dog/9.ppm
learn coop data --shots 7 --epochs 1
exits 3 "a picture that cannot be read"
says "9.ppm" "a picture that cannot be read"
finish
