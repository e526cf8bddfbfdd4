#!/bin/bash
# The completions of bash, zsh and fish, asked as those shells ask them. What they should know is
# read from --help.
# shellcheck source=tests/cli/common.sh
. "$(dirname "$0")/common.sh"
: "${CLIPCU_BUILD:=$(dirname "$CLIPCU")}"
pages=$CLIPCU_BUILD/share
if ! test -d "$pages"; then
    echo "SKIPPED: a cross build has no completions"
    exit 77
fi
commands=$("$CLIPCU" --help | sed -n '/^Commands:/,/^$/ s/^  \([a-z]*\) .*/\1/p')
test "$(echo "$commands" | wc -l)" -ge 6
report $? "--help names the commands"

# What the words in --help say a command takes: its options, one a line.
options_of() { # COMMAND
    "$CLIPCU" "$1" --help | grep -oE '^  (-[a-z], |    )--[a-z-]+' | tr ',' '\n' | tr -d ' ' | sort
}
# The words an option may have: a|b|c:N gives a and b.
values_of() { # COMMAND OPTION
    "$CLIPCU" "$1" --help | sed -n "s/^  ....$2 \([^ ]*|[^ ]*\).*/\1/p" | tr '|' '\n' |
        grep -v '[A-Z]' | sort
}

# ---- bash, by its function -----------------------------------------------------------------------
# replies WORD...: what bash offers for the last word, sorted
replies() {
    bash --norc --noprofile -c '
        . "$1/bash-completion/completions/clipcu"
        shift
        COMP_WORDS=(clipcu "$@") COMP_CWORD=$#
        _clipcu
        printf "%s\n" "${COMPREPLY[@]}"' bash "$pages" "$@" | sort
}
offers() { # "WORD..." WORD...: exactly these for the last word, which may be empty
    wanted=$(echo "$1" | tr -s ' ' '\n' | sort)
    shift
    found=$(replies "$@")
    test "$found" = "$wanted"
    report $? "bash: \"$*\": $(echo "$wanted" | tr '\n' ' ')"
}
offers "$commands --help --version" ''
offers "$commands" help ''
offers 'embed' em
offers 'help' he
offers 'learn' le
offers '' bench
for name in $commands; do
    test "$name" = help && continue
    offers "$(options_of "$name")" "$name" -
    for option in $(options_of "$name"); do
        values=$(values_of "$name" "$option")
        if test -n "$values"; then offers "$values" "$name" "$option" ''; fi
    done
done
offers '--labels' classify --lab
offers '--threads' classify photos/ --quiet --thr
offers 'jsonl' classify --format j
offers 'jsonl' classify --format = j
offers 'csv jsonl table' classify --format =
offers 'cpu cuda' search x --device c
offers 'openai7 openai80 single' bank --templates ''
offers 'openai80' bank --templates openai8
offers '' classify --top ''
offers '--resume' classify --res
offers '--prompt' classify --prom
offers '' nonsense -

# ---- bash, at its prompt: files, quoting, words -------------------------------------------------
mkdir -p play/'my photos' play/models
touch play/labels.txt play/'my photos/a b.jpg'
keys=$(printf '%s' "clipcu cla@ my@@ --lab@lab@--format=js@ --device=cp@--model mo@" \
              " --templates openai8@--top la@" | tr '@' '\t')
(cd play && printf '%s\n' ". '$pages/bash-completion/completions/clipcu'" \
    'clipcu() { printf "<%s>" "$@"; }' "$keys" |
    INPUTRC=/dev/null TERM=dumb bash --norc --noprofile -i) >out 2>err
printf '%s' "<classify><my photos/a b.jpg><--labels><labels.txt><--format=jsonl><--device=cpu>" \
    "<--model><models/><--templates><openai80><--top><la>" >wanted
if test -s out && grep -q . err; then
    same out wanted "bash: words, folders and files at the prompt: $(cat out)"
else
    skip "bash at its prompt" "this bash reads no keys from a pipe"
fi

# ---- fish ----------------------------------------------------------------------------------------
if command -v fish >/dev/null; then
    ask() { # COMMAND LINE: what fish offers, sorted
        HOME=$work fish --no-config -c "
            source '$pages/fish/vendor_completions.d/clipcu.fish'
            cd '$work/play'
            complete -C '$1'" 2>err | cut -f 1 | sort
    }
    ask 'clipcu ' >out
    echo "$commands" | sort >wanted
    same out wanted "fish: commands"
    for name in $commands; do
        test "$name" = help && continue
        ask "clipcu $name --" >out
        options_of "$name" | grep '^--' >wanted
        same out wanted "fish: options of $name"
    done
    ask 'clipcu classify --format ' >out
    values_of classify --format >wanted
    same out wanted "fish: values"
    ask 'clipcu classify --labels lab' >out
    echo labels.txt >wanted
    same out wanted "fish: files"
    ask 'clipcu classify --model mo' >out
    echo models/ >wanted
    same out wanted "fish: folders only"
else
    skip "fish" "not installed"
fi

# ---- zsh -----------------------------------------------------------------------------------------
if command -v zsh >/dev/null && zsh -f -c 'zmodload zsh/zpty' 2>/dev/null; then
    zsh -n "$pages"/zsh/*/_clipcu 2>err
    report $? "zsh: syntax"
    # A shell at a terminal of its own, whose Tab notes what it made of the line.
    cat >at_prompt.zsh <<'END_OF_ZSH'
zmodload zsh/zpty
zpty shell "zsh -f -i"
type_keys() { # KEYS: until the shell has noted one more line
    local seen=$(wc -l <tabbed) piece=''
    zpty -n -w shell "$1"
    for try in {1..300}; do
        zpty -r -t shell piece
        (($(wc -l <tabbed) > seen)) && return 0
        sleep 0.1
    done
    print -r -- "waited in vain behind $1" >&2
    exit 1
}
: >tabbed
zpty -w shell "PS1=''; fpath=($1 \$fpath); autoload -U compinit; compinit -u -D; cd play"
zpty -w shell "note() { zle expand-or-complete; print -r -- \$BUFFER >>../tabbed; BUFFER='' }"
zpty -w shell "bindkey -e; setopt nobeep; zle -N note; bindkey '^I' note; print >>../tabbed"
type_keys ''
shift
for line in "$@"; do type_keys "$line"$'\t'; done
END_OF_ZSH
    lines=('clipcu cla' 'clipcu classify --labels lab' 'clipcu classify --format=js'
        'clipcu bank --templates openai8' 'clipcu info --model mo' 'clipcu search --queri'
        'clipcu embed my' 'clipcu classify --re' 'clipcu lea' 'clipcu ben')
    TERM=dumb timeout 300 zsh -f at_prompt.zsh "$(dirname "$pages"/zsh/*/_clipcu)" "${lines[@]}" \
        >out 2>err
    printf '%s\n' 'clipcu classify ' 'clipcu classify --labels labels.txt ' \
        'clipcu classify --format=jsonl ' 'clipcu bank --templates openai80 ' \
        'clipcu info --model models/' 'clipcu search --queries=' 'clipcu embed my\ photos/' \
        'clipcu classify --resume ' 'clipcu learn ' 'clipcu ben' >wanted
    sed 1d tabbed >out
    same out wanted "zsh: words, folders and files at the prompt: $(tr '\n' ';' <out)"
else
    skip "zsh" "not installed"
fi
finish
