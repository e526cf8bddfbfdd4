#!/bin/bash
# Results never take the place of what they are made from, whatever it is called: exit status 1, one
# line, and the file is as it was.
. "$(dirname "$0")/common.sh"
cp -r "$model" model
export CLIPCU_MODEL=$work/model
ppm red.ppm 377 000 000
ppm blue.ppm 000 000 377
mkdir folder
printf 'red\nblue\n' >labels.txt
printf 'a {}.\n' >templates.txt
printf 'red.ppm\n' >list.txt
mkdir data data/red data/blue
printf 'red.ppm\tred\nblue.ppm\tblue\n' >data.txt
run embed red.ppm blue.ppm -o vectors --device cpu
exits 0 "embed"
run bank --labels labels.txt -o bank.safetensors --device cpu
exits 0 "bank"
ln red.ppm hard.ppm
ln -s red.ppm soft.ppm
ln -s .. folder/up
cp red.ppm picture.npy # embed reads a picture by its content
cp labels.txt lines.jsonl
sums() { # every file and what is in it, but for those of this script
    find . -type f ! -name before ! -name now ! -name out ! -name err -exec cksum {} + | sort
}
sums >before

refuses() { # NAME ARGUMENT...: refused in one line that names the option, and nothing was touched
    local name=$1
    shift
    run "$@" --device cpu --quiet
    exits 1 "$name"
    test "$(wc -l <err)" -eq 1 && grep -q 'would replace\|are both' err
    report $? "$name: says so in one line"
    sums >now
    same before now "$name: nothing was written"
}

classes="--classes red,blue"
# shellcheck disable=SC2086
{
    refuses "classify: the picture" classify red.ppm $classes -o red.ppm
    refuses "classify: the second picture" classify blue.ppm red.ppm $classes -o red.ppm
    refuses "classify: by another path" classify red.ppm $classes -o folder/up/./red.ppm
    refuses "classify: a hard link to it" classify hard.ppm $classes -o red.ppm
    refuses "classify: a link to it" classify soft.ppm $classes -o red.ppm
    refuses "classify: through a link to it" classify red.ppm $classes -o soft.ppm
    refuses "classify: the list" classify list.txt $classes -o list.txt
    refuses "classify: the labels" classify red.ppm --labels labels.txt -o labels.txt
    refuses "classify: the bank" classify red.ppm --bank bank.safetensors -o bank.safetensors
    refuses "classify: the templates" classify red.ppm $classes --templates templates.txt \
        -o templates.txt
    refuses "classify --html: the picture" classify red.ppm $classes --html red.ppm
    refuses "classify --html: -o" classify red.ppm $classes --html new -o new
    refuses "bank: the labels" bank --labels labels.txt -o labels.txt
    refuses "bank: the model" bank $classes -o model/model.safetensors
    refuses "classify: the model" classify red.ppm $classes --model folder/up/model \
        -o model/config.json
}
refuses "eval: the labels" eval data --labels labels.txt -o labels.txt
refuses "eval --html: the list" eval data.txt --html data.txt
refuses "embed: the picture" embed picture.npy -o picture
refuses "embed: the picture, ending given" embed picture.npy -o picture.npy
refuses "embed --text: the lines" embed --text lines.jsonl -o lines
for vectors in vectors vectors.npy; do
    refuses "search $vectors: the vectors" search $vectors --query red -o vectors.npy
    refuses "search $vectors: the names" search $vectors --query red -o vectors.jsonl
    refuses "search $vectors --html: the names" search $vectors --query red --html vectors.jsonl
done
refuses "search: the queries" search vectors --queries labels.txt -o labels.txt
refuses "search: the picture" search vectors --image red.ppm -o red.ppm
refuses "search --names: the names" search vectors --query red --names labels.txt -o labels.txt

run bank --classes new -o planted --device cpu # planted: a file that was not there
sums >now
! cmp -s before now
report $? "self-check: a file that was written is noticed"

# What looks alike and is none of it.
# shellcheck disable=SC2086
{
    run classify red.ppm $classes -o red.ppm.txt --device cpu
    exits 0 "another name beside it"
    run classify red.ppm $classes -o red.ppm.txt --device cpu
    exits 0 "the results of another run are replaced"
    run bank $classes -o model/bank.safetensors --device cpu
    exits 0 "a bank in the model's folder"
    run classify red.ppm $classes -o /dev/null --html page.html --device cpu
    exits 0 "a device and a page"
}
finish
