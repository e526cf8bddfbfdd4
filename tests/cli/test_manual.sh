#!/bin/bash
# The manual page as its readers see it: the programs that show it have no complaint, and it holds
# what --help says.
# shellcheck source=tests/cli/common.sh
. "$(dirname "$0")/common.sh"
: "${CLIPCU_BUILD:=$(dirname "$CLIPCU")}"
page=$CLIPCU_BUILD/share/man/man1/clipcu.1
if ! test -f "$page"; then
    echo "SKIPPED: a cross build has no manual page"
    exit 77
fi

# complaints PROGRAM FILE: what a program for manual pages says of one
complaints() {
    case $1 in
    groff) groff -man -Tutf8 -ww -z "$2" 2>&1 ;;
    man) { env MANPAGER=cat man --warnings -l "$2" >/dev/null; } 2>&1 ;;
    # Without a date on purpose: the same source makes the same page.
    mandoc) mandoc -Tlint -W warning "$2" | grep -v 'missing date' ;;
    esac
}
{ cat "$page"; printf '.SH\n.XYZ\n.TP\n'; } >wrong.1
for program in groff man mandoc; do
    if ! command -v $program >/dev/null; then
        skip "$program" "not installed"
        continue
    fi
    complaints $program "$page" >err
    test ! -s err
    report $? "$program: no complaint: $(head -c 200 err)"
    complaints $program wrong.1 >err
    test -s err
    report $? "$program: complains of a wrong page"
done

if command -v groff >/dev/null; then
    groff -man -Tascii -P-cbou -rLL=200n "$page" 2>/dev/null | tr -s ' \n' ' ' >shown
    for name in $("$CLIPCU" --help | sed -n '/^Commands:/,/^$/ s/^  \([a-z]*\) .*/\1/p'); do
        test "$name" = help && continue
        "$CLIPCU" "$name" --help >help
        # Each option with the words behind it, up to where --help breaks the line.
        sed -n 's/^  *\(-.*--[a-z].*\)/\1/p; s/^      \(--[a-z].*\)/\1/p' help | tr -s ' ' |
            sort -u >heads
        missing=''
        while read -r head; do
            grep -qF -e "$head" shown || missing="$missing [$head]"
        done <heads
        test -s heads && test -z "$missing"
        report $? "the page has the options of $name:$missing"
        sed -n '/^Examples:/,$ s/^  \(clipcu.*\)/\1/p' help | while read -r line; do
            grep -qF -e "$(echo "$line" | tr -s ' ')" shown || echo "$line"
        done >lost
        test ! -s lost
        report $? "the page has the examples of $name"
    done
    if grep -qE 'clipcu bench ' shown; then false; fi
    report $? "the page has no command that is not in this version"
else
    skip "the page's text" "no groff"
fi
finish
