#!/bin/bash
# Memory does not grow with the number of pictures: the most that the command ever held, with 500
# and with 5000 of them.
. "$(dirname "$0")/common.sh"
export CLIPCU_MODEL=$model
export OMP_WAIT_POLICY=passive
most_kib=1024 # of growth over 4500 pictures: 233 bytes each, and each path has 438

if test "$CLIPCU_SANITIZED" = ON || test "$CLIPCU_SANITIZED" = 1; then
    echo "SKIPPED: the sanitizers keep freed memory on purpose"
    exit 77
fi

# A process tells its own peak to nobody when it has ended, so it is asked while it waits for more
# paths: the results of all earlier ones are out by then.
peak_of() { # COUNT FOLDER OPTION...: sets $peak, KiB at most while COUNT pictures were worked on
    local count=$1 folder=$2
    shift 2
    rm -f paths
    mkfifo paths
    "$CLIPCU" "$@" --device cpu --threads 1 --batch 16 --quiet - >out 2>err <paths &
    local process=$!
    exec 9>paths
    for ((i = 0; i < count; i++)); do echo "$folder/picture.ppm"; done >&9
    for _ in $(seq 3000); do
        test "$(wc -l <"$lines")" -ge "$count" && break
        kill -0 $process 2>/dev/null || break
        sleep 0.1
    done
    peak=$(awk '/^VmHWM/ { print $2 }' /proc/$process/status)
    exec 9>&-
    status=0
    wait $process || status=$?
}

# A long path: were it kept, 4500 of them would be 2 MB.
folder=$(printf 'longer/%.0s' $(seq 60))
mkdir -p "$folder"
ppm "$folder/picture.ppm" 377 000 000

grows() { # FEW MANY: succeeds if that is more than allowed
    test "$(($2 - $1))" -gt $most_kib
}

steady() { # NAME ARGUMENT...: runs it on 500 and on 5000 pictures
    local name=$1 few
    shift
    peak_of 500 "$folder" "$@"
    few=$peak
    peak_of 5000 "$folder" "$@"
    exits 0 "$name"
    test "$(wc -l <"$lines")" -eq 5000
    report $? "$name: 5000 results"
    ! grows "$few" "$peak"
    report $? "$name: $few KiB with 500 pictures, $peak KiB with 5000"
}

lines=out
steady "classify" classify --classes red,green --format jsonl
steady "classify --html" classify --classes red,green --format jsonl --html page.html --html-max 10
lines=vectors.jsonl.part
peak_of 500 "$folder" embed -o vectors
few=$peak
peak_of 5000 "$folder" embed -o vectors
exits 0 "embed -o"
! grows "$few" "$peak"
report $? "embed -o: $few KiB with 500 pictures, $peak KiB with 5000"

# The check can fail: a program that keeps every path it is given.
cat >leaking <<'END'
#!/bin/bash
while read -r line; do
    kept+=("$line")
    echo "$line"
done
END
chmod +x leaking
lines=out
CLIPCU=$work/leaking
peak_of 500 "$folder" planted
few=$peak
peak_of 5000 "$folder" planted
grows "$few" "$peak"
report $? "self-check: 4500 kept paths are noticed ($few KiB, $peak KiB)"
finish
