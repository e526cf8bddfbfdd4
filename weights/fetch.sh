#!/bin/sh
# Downloads a CLIP checkpoint from a Hugging Face hub: config, tokenizer, safetensors weights.
# Resumes what was cut, and checks every file: against manifest.txt beside this script where the
# file is listed there, otherwise against the checksum the server states.
set -eu

hub=${CLIPCU_HUB:-https://huggingface.co}
here=$(cd "$(dirname "$0")" && pwd)
manifest=$here/manifest.txt
revision=main

usage() {
    cat <<END
usage: fetch.sh [--revision REVISION] OWNER/NAME [FOLDER]

Downloads the files clipcu needs of the repository OWNER/NAME into FOLDER (default: NAME, beside
this script). A download that was cut goes on where it stopped; a file that is already there and
whole is kept.

  fetch.sh openai/clip-vit-base-patch32
  fetch.sh --revision refs/pr/5 openai/clip-vit-base-patch32 /data/b32

  --revision REVISION   branch, tag, commit or refs/pr/N (default: main)
  -h, --help            this text

CLIPCU_HUB is the address of the hub (default: https://huggingface.co).
Exit status: 0 all files are there and checked, 1 a download failed, 2 wrong arguments.
END
}

say() { printf '%s\n' "$*"; }
fail() { printf 'fetch.sh: %s\n' "$*" >&2; exit 1; }
wrong() { printf 'fetch.sh: %s\n(fetch.sh --help tells more)\n' "$*" >&2; exit 2; }

sha256_of() {
    if command -v sha256sum >/dev/null; then sha256sum <"$1"; else shasum -a 256 <"$1"; fi |
        cut -d' ' -f1
}

# The name git gives the file's content: SHA-1 over a header and the bytes.
blob_sha1_of() {
    { printf 'blob %d\0' "$(size_of "$1")"; cat "$1"; } |
        if command -v sha1sum >/dev/null; then sha1sum; else shasum; fi | cut -d' ' -f1
}

size_of() { wc -c <"$1" | tr -d ' '; }

# header_of NAME: the value in the reply $reply, without quotes; empty where it is absent.
header_of() {
    printf '%s\n' "$reply" | tr -d '\r' |
        awk -v name="$1:" 'tolower($1) == name { value = $2 } END { print value }' |
        sed 's/^W\///; s/"//g'
}

# probe FILE: asks the server about FILE; sets status, sum (its checksum) and bytes, each empty
# where the server does not say. Redirects inside the hub are followed; the one to the storage
# server is not, because the checksum comes with it.
probe() {
    address=$url/$1
    hops=0
    sum='' bytes=''
    while :; do
        reply=$(curl -sSI --retry 2 --connect-timeout 20 "$address") ||
            fail "no answer from $hub (curl's message is above)"
        status=$(printf '%s\n' "$reply" | awk '/^HTTP/ { code = $2 } END { print code }')
        [ -n "$sum" ] || sum=$(header_of x-linked-etag)
        [ -n "$bytes" ] || bytes=$(header_of x-linked-size)
        target=$(header_of location)
        case $status:$target in
            30?:/*) address=$hub$target hops=$((hops + 1)) ;;
            *) break ;;
        esac
        [ $hops -le 4 ] || fail "$1: the server redirects in circles"
    done
    [ -n "$sum" ] || sum=$(header_of etag)
    [ -n "$bytes" ] || [ "$status" != 200 ] || bytes=$(header_of content-length)
}

# exists FILE: whether the repository has it. Anything but yes or no ends the script.
exists() {
    probe "$1"
    case $status in
        200 | 30?) return 0 ;;
        404) return 1 ;;
        401 | 403) fail "$repo: the server answers $status: no such repository, or a closed one" ;;
        *) fail "$repo: the server answers $status for $1" ;;
    esac
}

# expect FILE: after probe, lets manifest.txt overrule what the server says.
expect() {
    source=server
    listed=
    if [ -f "$manifest" ] && [ "$revision" = main ]; then
        listed=$(awk -v r="$repo" -v f="$1" '$1 == r && $2 == f { print $3, $4 }' "$manifest")
    fi
    if [ -n "$listed" ]; then
        bytes=${listed% *} sum=${listed#* } source=manifest.txt
    fi
}

# matches PATH: whether the file has the expected checksum; true where none is known.
matches() {
    case ${#sum} in
        64) [ "$(sha256_of "$1")" = "$sum" ] ;;
        40) [ "$(blob_sha1_of "$1")" = "$sum" ] ;;
        *) [ -z "$bytes" ] || [ "$(size_of "$1")" = "$bytes" ] ;;
    esac
}

checked_how() {
    case ${#sum} in
        64) say "sha256 agrees with $source" ;;
        40) say "git sha1 agrees with $source" ;;
        *) say "size only: the server states no checksum" ;;
    esac
}

# download FILE: one try into FILE.part, going on where an earlier try stopped.
download() {
    part=$folder/$1.part
    if [ -f "$part" ] && [ -n "$bytes" ]; then
        [ "$(size_of "$part")" -le "$bytes" ] || rm -f "$part"
        if [ -f "$part" ] && [ "$(size_of "$part")" = "$bytes" ]; then
            return 0
        fi
    fi
    set -- "$1" -fL --retry 3 --connect-timeout 20 -o "$part"
    if [ -t 2 ]; then set -- "$@" --progress-bar; else set -- "$@" -sS; fi
    file=$1
    shift
    code=0
    curl "$@" -C - "$url/$file" || code=$?
    if [ $code = 33 ] || [ $code = 36 ]; then    # the server cannot go on in the middle
        rm -f "$part"
        code=0
        curl "$@" "$url/$file" || code=$?
    fi
    [ $code = 0 ] || fail "$file: the download broke off (curl code $code); run this again to go on"
}

# get FILE: after exists FILE, makes $folder/FILE whole and checked.
get() {
    expect "$1"
    final=$folder/$1
    if [ -f "$final" ]; then
        if matches "$final"; then
            say "$1: already there, $(checked_how)"
            return 0
        fi
        say "$1: the one there differs, downloading it again"
    fi
    resumed=no
    [ ! -s "$final.part" ] || resumed=yes
    say "$1: ${bytes:-?} bytes"
    download "$1"
    if ! matches "$final.part" && [ $resumed = yes ]; then
        say "$1: the part from before does not fit, downloading it whole"
        rm -f "$final.part"
        download "$1"
    fi
    if ! matches "$final.part"; then
        rm -f "$final.part"
        fail "$1: the checksum does not agree with $source ($sum); nothing kept"
    fi
    mv "$final.part" "$final"
    say "$1: done, $(checked_how)"
}

get_if_there() { if exists "$1"; then get "$1"; fi; }

get_tokenizer() {
    found=no
    if exists tokenizer.json; then get tokenizer.json; found=yes; fi
    if exists merges.txt; then
        get merges.txt
        get_if_there vocab.json
        found=yes
    fi
    get_if_there tokenizer_config.json
    get_if_there special_tokens_map.json
    [ $found = yes ] || say "note: $repo has no tokenizer files"
}

get_shards() {
    index=$folder/model.safetensors.index.json
    shards=$(tr ',{}' '[\n*]' <"$index" |
        sed -n 's/.*"\([A-Za-z0-9._-]*\.safetensors\)"[^"]*$/\1/p' | sort -u)
    [ -n "$shards" ] || fail "model.safetensors.index.json names no shard"
    for shard in $shards; do
        exists "$shard" || fail "$repo lacks $shard, which its index names"
        get "$shard"
    done
}

arguments() {
    repo='' folder=''
    while [ $# -gt 0 ]; do
        case $1 in
            -h | --help) usage; exit 0 ;;
            --revision)
                [ $# -ge 2 ] || wrong "--revision needs a value"
                revision=$2
                shift ;;
            -*) wrong "unknown option $1" ;;
            *)
                if [ -z "$repo" ]; then repo=$1
                elif [ -z "$folder" ]; then folder=$1
                else wrong "one argument too many: $1"; fi ;;
        esac
        shift
    done
    [ -n "$repo" ] || wrong "which repository? For example openai/clip-vit-base-patch32"
    printf '%s\n' "$repo" | grep -Eq '^[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*$' ||
        wrong "$repo is not of the form OWNER/NAME"
    printf '%s\n' "$revision" | grep -Eq '^[A-Za-z0-9._/-]+$' || wrong "odd revision $revision"
    [ -n "$folder" ] || folder=$here/${repo#*/}
}

main() {
    arguments "$@"
    command -v curl >/dev/null || fail "curl is needed"
    url=$hub/$repo/resolve/$(printf '%s' "$revision" | sed 's|/|%2F|g')
    mkdir -p "$folder"
    if exists config.json && { exists model.safetensors || exists model.safetensors.index.json; }
    then
        get_if_there config.json
        get_if_there preprocessor_config.json
        get_tokenizer
        if exists model.safetensors; then
            get model.safetensors
        else
            get_if_there model.safetensors.index.json
            get_shards
        fi
    elif exists open_clip_config.json && exists open_clip_model.safetensors; then
        get_if_there open_clip_config.json
        get_tokenizer
        get_if_there open_clip_model.safetensors
    else
        fail "$repo ($revision) has no safetensors weights with a config: neither
model.safetensors (or its index) with config.json, nor open_clip_model.safetensors with
open_clip_config.json. Some repositories have them in a pull request: see --revision."
    fi
    say "$repo is in $folder"
}

main "$@"
