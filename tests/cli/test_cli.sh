#!/bin/bash
# The command's face: help, versions, options, what it refuses and how, exit statuses.
. "$(dirname "$0")/common.sh"

# ---- Help and version ---------------------------------------------------------------------------
run --version
exits 0 "--version"
header=$CLIPCU_SOURCE/include/clipcu.h
version=$(sed -n 's/^#define CLIPCU_VERSION_[A-Z]* //p' "$header" | paste -sd.)
test "$(cat out)" = "clipcu $version"
report $? "--version is the header's"

run
exits 1 "no command"
says "classify, embed, bank, search, eval, learn or info" "no command"
for words in --help -h help "help help"; do
    # shellcheck disable=SC2086
    run $words
    exits 0 "clipcu $words"
    prints "clipcu classify photo.jpg --classes" "clipcu $words"
done
for command in classify embed bank info; do
    run help "$command"
    exits 0 "help $command"
    cp out page
    run "$command" --help
    same out page "$command --help is help $command"
    run "$command" --top 3 -h nonsense --nonsense
    test ! -s page
    test $? -eq 1
    report $? "help $command says something"
    # Every option that the page shows is one that the parser knows, long and short.
    unknown=''
    for option in $(grep -oE '^ +(-[a-z], )?--[a-z-]+' page | grep -oE -e '--?[a-z-]+'); do
        run "$command" "$option" --
        if grep -qE 'unknown option|no option of' err; then unknown="$unknown $option"; fi
    done
    test -z "$unknown"
    report $? "$command: every option of --help is known$unknown"
    run "$command" --surely-none
    says "unknown option --surely-none" "$command: others are not"
done
run help nonsense
exits 1 "help nonsense"

# ---- What is not in this version ----------------------------------------------------------------
run bench x
exits 1 "bench"
says "bench is not in this version" "bench"
ppm red.ppm 377 000 000
: >shard.tar
run classify red.ppm --classes a,b --resume
exits 1 "--resume"
says "--resume goes on with an unfinished file: name it with -o" "--resume"
run embed red.ppm --resume
exits 1 "embed --resume"
run classify red.ppm --classes a,b --device cuda:0,1
exits 1 "several devices"
says "not in this version" "several devices"

# ---- Mistakes, and what helps ------------------------------------------------------------------
run clasify red.ppm
exits 1 "a slip in the command"
says "did you mean clipcu classify?" "a slip in the command"
run red.ppm
exits 1 "a picture for a command"
says "clipcu classify red.ppm --classes" "a picture for a command"
run --top 3 classify
exits 1 "an option before the command"
run classify red.ppm
exits 1 "classify without classes"
says '--classes "cat,dog,boat"' "classify without classes"
run classify --classes a,b
exits 1 "classify without pictures"
says "which pictures?" "classify without pictures"
run classify red.ppm --classes a,b --labels x
exits 1 "two kinds of classes"
run classify red.ppm --lables x
exits 1 "a slip in an option"
says "did you mean --labels?" "a slip in an option"
run classify red.ppm --classes a,b --top 0
exits 1 "--top 0"
says "from 1 to 1024" "--top 0"
run classify red.ppm --classes a,,b
exits 1 "an empty class"
says "name 2 is empty" "an empty class"
run classify red.ppm --classes "a,b,a"
exits 0 "a class given twice"
says '"a" is given twice' "a class given twice"
run classify red.ppm --labels nothing.txt
exits 1 "no such labels file"
says nothing.txt "no such labels file"
: >empty.txt
run classify red.ppm --labels empty.txt
exits 1 "an empty labels file"
says empty.txt "an empty labels file"
printf 'a cat\n\na dog\na cat\n' >twice.txt
run classify red.ppm --labels twice.txt
exits 0 "a label given twice"
says 'twice.txt: the class "a cat" is given twice' "a label given twice"
run classify red.ppm --classes a,b --templates openai81
exits 1 "no such templates"
says "openai80" "no such templates"
printf 'a {}.\nnothing\n' >templates.txt
run classify red.ppm --classes a,b --templates templates.txt
exits 1 "a template without {}"
says "template 2" "a template without {}"
run classify red.ppm --bank empty.txt
exits 1 "an empty bank"
run classify red.ppm --bank x --templates openai7
exits 1 "templates for a bank"
run embed
exits 1 "embed without inputs"
run embed red.ppm --text empty.txt
exits 1 "embed with both kinds of input"
run embed --text nothing.txt --model "$model"
exits 1 "embed --text without the file"
run bank --classes a,b
exits 1 "bank without -o"
says "-o FILE" "bank without -o"
run bank -o x.safetensors
exits 1 "bank without classes"
run bank red.ppm --classes a,b -o x.safetensors
exits 1 "bank with a picture"
run info red.ppm
exits 1 "info with a picture"

# ---- The model ----------------------------------------------------------------------------------
run classify red.ppm --classes a,b --model nowhere
exits 3 "no such model"
says nowhere "no such model"
export CLIPCU_MODEL=nowhere
run info
exits 3 "CLIPCU_MODEL is looked at"
says nowhere "CLIPCU_MODEL is looked at"
run info --model "$model"
exits 0 "--model goes before CLIPCU_MODEL"
prints "$model" "info"
prints "image tower" "info"
export CLIPCU_MODEL=$model
run info --format json
exits 0 "info --format json"
is_jsonl out
report $? "info --format json is JSON"
prints '"embed_dim":' "info --format json"
run info --device cuda
case $status in
0) prints cuda "info --device cuda" ;;
*) exits 3 "--device cuda without one" ;;
esac
run classify red.ppm --classes a,b --precision f16 --device cpu
exits 3 "f16 on the CPU"
unset CLIPCU_MODEL
if test -f "$CLIPCU_SOURCE/weights/demo/config.json"; then
    run info
    exits 0 "the demo model is the default"
    prints demo "the demo model is the default"
else
    skip "the demo model is the default" "no weights/demo here"
fi
finish
