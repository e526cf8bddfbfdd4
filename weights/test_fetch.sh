#!/usr/bin/env bash
# Tests fetch.sh against a small server on 127.0.0.1 that answers like a hub: checksums in the
# headers, a redirect for large files, ranges. Exits non-zero on the first thing that is wrong.
set -euo pipefail

for tool in python3 curl; do # python3 plays the server
    command -v "$tool" >/dev/null || { echo "SKIPPED: $tool is not installed"; exit 77; }
done

here=$(cd "$(dirname "$0")" && pwd)
scratch=$(mktemp -d)
server=
cleanup() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    rm -rf "$scratch"
}
trap cleanup EXIT

hub=$scratch/hub requests=$scratch/requests out=$scratch/out said=$scratch/said
mkdir -p "$hub/tiny/one" "$hub/tiny/shards" "$hub/tiny/open" "$hub/tiny/pickle" "$scratch/bin"
cp "$here/fetch.sh" "$scratch/bin/fetch.sh"      # so that manifest.txt is the test's own
fetch=$scratch/bin/fetch.sh manifest=$scratch/bin/manifest.txt

make_repositories() {
    local part
    for part in config.json preprocessor_config.json tokenizer.json merges.txt vocab.json; do
        echo "{\"file\": \"$part\"}" >"$hub/tiny/one/$part"
    done
    head -c 300000 /dev/urandom >"$hub/tiny/one/model.safetensors"
    cp "$hub/tiny/one/"*.json "$hub/tiny/shards/"
    for part in 1 2; do
        head -c 50000 /dev/urandom >"$hub/tiny/shards/model-0000$part-of-00002.safetensors"
    done
    printf '%s' '{"metadata": {"total_size": 100000}, "weight_map": {' \
        '"a.weight": "model-00001-of-00002.safetensors", ' \
        '"b.weight": "model-00002-of-00002.safetensors", ' \
        '"c.weight": "model-00001-of-00002.safetensors"}}' \
        >"$hub/tiny/shards/model.safetensors.index.json"
    cp "$hub/tiny/one/tokenizer.json" "$hub/tiny/open/"
    echo '{}' >"$hub/tiny/open/open_clip_config.json"
    head -c 40000 /dev/urandom >"$hub/tiny/open/open_clip_model.safetensors"
    echo '{}' >"$hub/tiny/pickle/config.json"
}

# The server. Files in $scratch steer it: `cut` holds a byte count after which the next storage
# answer breaks off, `lie` a file whose bytes are changed on the way, `norange` turns ranges off.
start_server() {
    python3 - "$scratch" <<'END' &
import hashlib, http.server, os, pathlib, sys

root = pathlib.Path(sys.argv[1])


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def answer(self, status, headers, body=b""):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def storage(self, path, headers):
        data = path.read_bytes()
        if (root / "lie").exists() and (root / "lie").read_text().strip() == path.name:
            data = data[:-1] + bytes([data[-1] ^ 1])
        asked, status = self.headers.get("Range"), 200
        if asked and not (root / "norange").exists():
            start = int(asked.split("=")[1].rstrip("-"))
            if start >= len(data):
                return self.answer(416, {"Content-Length": "0"})
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
            data, status = data[start:], 206
        headers["Content-Length"] = str(len(data))
        if self.command == "GET" and (root / "cut").exists():
            data = data[:int((root / "cut").read_text())]
            (root / "cut").unlink()
            self.close_connection = True
        self.answer(status, headers, data)

    def do_GET(self):
        with open(root / "requests", "a") as log:
            log.write(f"{self.command} {self.path} {self.headers.get('Range') or '-'}\n")
        parts = self.path.strip("/").split("/")
        if parts[0] == "storage":
            return self.storage(root / "hub" / "/".join(parts[1:]), {})
        if parts[0] == "cached":
            parts = parts[1:]
        owner, name, _, revision, file = parts
        path = root / "hub" / owner / name / file
        if not path.parent.exists():
            return self.answer(401, {"Content-Length": "0"})
        if not path.exists() or revision not in ("main", "refs%2Fpr%2F5"):
            return self.answer(404, {"Content-Length": "0"})
        data = path.read_bytes()
        if file.endswith(".safetensors"):
            port = self.server.server_address[1]
            return self.answer(302, {
                "X-Linked-Etag": f'"{hashlib.sha256(data).hexdigest()}"',
                "X-Linked-Size": str(len(data)), "Content-Length": "0",
                "Location": f"http://127.0.0.1:{port}/storage/{owner}/{name}/{file}"})
        if file == "vocab.json" and not self.path.startswith("/cached"):
            return self.answer(307, {"Location": "/cached" + self.path, "Content-Length": "0"})
        blob = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
        self.storage(path, {"ETag": f'W/"{blob}"'})

    do_HEAD = do_GET


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
(root / "port.part").write_text(str(server.server_address[1]))
os.replace(root / "port.part", root / "port")
server.serve_forever()
END
    server=$!
    for _ in $(seq 100); do
        [ ! -s "$scratch/port" ] || break
        sleep 0.1
    done
    CLIPCU_HUB=http://127.0.0.1:$(cat "$scratch/port")
    export CLIPCU_HUB
}

checks=0
fail() {
    printf 'test_fetch.sh: FAILED: %s\n--- fetch.sh said:\n' "$1" >&2
    cat "$said" >&2
    exit 1
}
# run STATUS WORDS ARGUMENTS...: fetch.sh must end with STATUS and say WORDS.
run() {
    local expected=$1 words=$2 status=0
    shift 2
    : >"$requests"
    "$fetch" "$@" >"$said" 2>&1 || status=$?
    [ $status = "$expected" ] || fail "fetch.sh $*: exit $status, expected $expected"
    grep -qF -- "$words" "$said" || fail "fetch.sh $*: did not say: $words"
    checks=$((checks + 1))
}
same() {
    cmp -s "$hub/$1" "$2" || fail "$2 differs from $1"
    checks=$((checks + 1))
}
absent() {
    [ ! -e "$1" ] || fail "$1 should not be there"
    checks=$((checks + 1))
}
asked() {
    grep -qF -- "$1" "$requests" || fail "the server was not asked: $1"
    checks=$((checks + 1))
}

test_arguments() {
    run 0 'usage: fetch.sh' --help
    run 2 'which repository?'
    run 2 'unknown option --fast' --fast tiny/one
    run 2 'one argument too many' tiny/one "$out" more
    run 2 'not of the form' ../../etc/passwd "$out"
    run 2 '--revision needs a value' tiny/one --revision
    run 1 'no such repository' tiny/none "$out/none"
    run 1 'has no safetensors weights' tiny/pickle "$out/pickle"
    CLIPCU_HUB=http://127.0.0.1:9 run 1 'no answer from' tiny/one "$out/down"
}

test_layouts() {
    local file
    run 0 'sha256 agrees with server' tiny/one "$out/one"
    for file in "$hub"/tiny/one/*; do same "tiny/one/${file##*/}" "$out/one/${file##*/}"; done
    asked 'GET /cached/tiny/one/resolve/main/vocab.json'
    run 0 'already there' tiny/one "$out/one"
    if grep -q GET "$requests"; then fail 'a whole file was downloaded again'; fi
    run 0 'git sha1 agrees with server' tiny/shards "$out/shards"
    for file in "$hub"/tiny/shards/model*; do
        same "tiny/shards/${file##*/}" "$out/shards/${file##*/}"
    done
    run 0 'is in' tiny/open "$out/open"
    same tiny/open/open_clip_model.safetensors "$out/open/open_clip_model.safetensors"
    same tiny/open/open_clip_config.json "$out/open/open_clip_config.json"
    run 0 'is in' --revision refs/pr/5 tiny/open "$out/revision"
    asked '/resolve/refs%2Fpr%2F5/'
    run 0 'is in' tiny/open
    same tiny/open/open_clip_model.safetensors "$scratch/bin/open/open_clip_model.safetensors"
}

test_resume() {
    local model=tiny/one/model.safetensors folder=$out/resume
    mkdir -p "$folder"
    cp "$hub"/tiny/one/*.json "$hub"/tiny/one/merges.txt "$folder"
    echo 100000 >"$scratch/cut"
    run 1 'the download broke off' tiny/one "$folder"
    absent "$folder/model.safetensors"
    [ "$(wc -c <"$folder/model.safetensors.part")" -eq 100000 ] || fail 'no part of 100000 bytes'
    run 0 'sha256 agrees' tiny/one "$folder"
    asked 'bytes=100000-'
    same $model "$folder/model.safetensors"
    absent "$folder/model.safetensors.part"

    rm "$folder/model.safetensors"
    head -c 5000 /dev/zero >"$folder/model.safetensors.part"
    run 0 'the part from before does not fit' tiny/one "$folder"
    same $model "$folder/model.safetensors"

    rm "$folder/model.safetensors"
    cp "$hub/$model" "$folder/model.safetensors.part"
    run 0 'sha256 agrees' tiny/one "$folder"
    if grep -q 'GET /storage' "$requests"; then fail 'a whole part was downloaded again'; fi
    same $model "$folder/model.safetensors"

    rm "$folder/model.safetensors"
    head -c 7000 "$hub/$model" >"$folder/model.safetensors.part"
    touch "$scratch/norange"
    run 0 'sha256 agrees' tiny/one "$folder"
    same $model "$folder/model.safetensors"
    rm "$scratch/norange"

    echo damaged >"$folder/model.safetensors"
    run 0 'the one there differs' tiny/one "$folder"
    same $model "$folder/model.safetensors"
}

test_mismatch() {
    local file
    for file in model.safetensors merges.txt; do
        echo $file >"$scratch/lie"
        run 1 'the checksum does not agree with server' tiny/one "$out/lie-$file"
        absent "$out/lie-$file/$file"
        absent "$out/lie-$file/$file.part"
    done
    rm "$scratch/lie"
}

test_manifest() {
    local model=$hub/tiny/one/model.safetensors sum
    sum=$(sha256sum <"$model" | cut -d' ' -f1)
    echo "tiny/one model.safetensors 300000 $sum" >"$manifest"
    run 0 'sha256 agrees with manifest.txt' tiny/one "$out/listed"
    echo "tiny/one model.safetensors 300000 ${sum//[0-9]/a}" >"$manifest"
    run 1 'does not agree with manifest.txt' tiny/one "$out/unlike"
    absent "$out/unlike/model.safetensors"
    absent "$out/unlike/model.safetensors.part"
    rm "$manifest"
}

# The shipped manifest is well formed, and true of the demo model beside it.
test_shipped_manifest() {
    local repo file bytes sum rest
    while read -r repo file bytes sum rest; do
        case $repo in '' | '#'*) continue ;; esac
        echo "$repo $file" >"$said"
        if [ ${#sum} != 64 ] || [ -n "$rest" ] || [ $((bytes)) -le 0 ]; then
            fail 'a line of manifest.txt is not: repository file bytes sha256'
        fi
        checks=$((checks + 1))
        [ "$repo" = weights/demo ] || continue
        if [ "$(wc -c <"$here/demo/$file")" -ne "$bytes" ] ||
            [ "$(sha256sum <"$here/demo/$file" | cut -d' ' -f1)" != "$sum" ]; then
            fail "weights/demo/$file is not what manifest.txt says"
        fi
    done <"$here/manifest.txt"
}

make_repositories
start_server
test_arguments
test_layouts
test_resume
test_mismatch
test_manifest
test_shipped_manifest
echo "test_fetch.sh: $checks checks passed"
