#!/bin/bash
# What --html pages are in a browser: readable, operable by keyboard and pointer, in light and dark,
# wide and narrow, with scripts and without. Skipped where there is no browser.
. "$(dirname "$0")/common.sh"
export CLIPCU_MODEL=$model
: "${CLIPCU_PAGE_SAMPLES:=$(dirname "$CLIPCU")/tests/page_samples}"
driver=$CLIPCU_SOURCE/tests/cli/html_driver.js

browser=''
for name in chromium chromium-browser google-chrome; do
    if command -v "$name" >/dev/null 2>&1; then browser=$name; break; fi
done
if test -z "$browser"; then
    skip "what a page does in a browser" "no chromium or google-chrome"
    exit 77
fi
test -x "$CLIPCU_PAGE_SAMPLES" || { echo "no page_samples at $CLIPCU_PAGE_SAMPLES"; exit 1; }

browse() { # FILE OPTION...: the DOM after its scripts is in dom, the console in console
    page=$1
    shift
    timeout 120 "$browser" --headless --no-sandbox --disable-gpu --user-data-dir="$work/profile" \
        --virtual-time-budget=5000 --enable-logging=stderr "$@" --dump-dom "file://$work/$page" \
        >dom 2>console </dev/null
}

# Drives a copy of a page in a frame of a width; what the driver tells is in dom. The page's own
# policy would not run the driver. SED plants a defect.
drive() { # PAGE WIDTH [SED [BROWSER_OPTION...]]
    sed -e "s|script-src 'sha256-[^']*'|script-src 'unsafe-inline'|" -e "${3:-}" "$1" >driven.html
    { echo '<script>'; cat "$driver"; echo '</script>'; } >>driven.html
    cat >frame.html <<END
<iframe src="driven.html" style="width:$2px; height:800px; border:0"></iframe><pre id="told"></pre>
<script>onmessage = (e) => { document.querySelector("#told").textContent = e.data; };</script>
END
    shift $(($# < 3 ? $# : 3))
    browse frame.html --window-size=1400,900 "$@"
}

told() { # WHAT TEXT...: the driver told each of these
    what=$1
    shift
    for line in "$@"; do
        if grep -qF "[$line]" dom; then report 0 "$what: $line"; continue; fi
        report 1 "$what: $line"
        grep -F "[${line%%:*}:" dom | head -3
        grep -F -A 3 '[driver:' dom | grep -v done
    done
}

lacks() { # TEXT...: a planted defect is seen: the driver got through, but did not tell this
    grep -qF '[driver: done]' dom
    report $? "the driver got through a page with defects"
    for line in "$@"; do
        ! grep -qF "[$line]" dom
        report $? "a planted defect is seen: not \"$line\""
    done
}

common=("overflow: false" "title: ours" "requests: 0" "moving: 0" "focus unseen: 0" "nameless: 0"
        "ids twice: 0" "contrast at first: good" "colours change: true" "contrast changed: good"
        "driver: done")
cards=("controls: true" "by path: true" "least sure first: true" "surest first: true" "find: true"
       "by answer: true" "all again: true")
matrix=("focus tells: true" "down leads: true" "up leads back: true" "keys move: true"
        "enter shows: true" "focus follows: true" "way back: true" "pointer tells: true"
        "click shows: true" "tap tells, button shows: true" "elements: few" "mistake shows: true"
        "class shows: true" "classes by top-1: true" "turned around: true"
        "classes by name: true")

# ---- What the command writes -------------------------------------------------------------------
ppm red.ppm 377 000 000
ppm green.ppm 000 310 000
ppm "b'<script>lue.ppm" 000 000 377
printf 'not a picture' >bad.jpg
printf 'red\ngreen\n<script>alert(1)</script>\n' >labels.txt
run classify red.ppm bad.jpg green.ppm "b'<script>lue.ppm" --labels labels.txt --html page.html
exits 2 "a page with a bad picture"

browse page.html
if ! grep -q '</html>' dom; then
    skip "what a page does in a browser" "$browser does not run here"
    exit 77
fi
! grep -q CONSOLE console
report $? "the console stays empty"
grep -qE '<form id="controls"[^>]*>' dom && ! grep -qE '<form id="controls"[^>]*hidden' dom
report $? "the page's own script runs under its policy"
sed 's/<main>/<main><script>document.title = "planted"<\/script>/' page.html >defect.html
browse defect.html
grep -q 'CONSOLE.*Content Security Policy' console && ! grep -q '<title>planted' dom
report $? "the policy stops a planted script"

drive page.html 360
told "a phone" "width: 360" "${common[@]}" "${cards[@]}" "count: 0 of 3 shown"

# ---- Pages that are hard to show ---------------------------------------------------------------
"$CLIPCU_PAGE_SAMPLES" .
report $? "samples are written"
drive odd.html 360
told "odd texts" "${common[@]}" "controls: true" "all again: true"
drive empty.html 820
told "nothing" "${common[@]}"
drive search.html 360
told "a search" "${common[@]}" "one query: true" "all queries: true"
drive eval10.html 820 '' --blink-settings=preferredColorScheme=0
told "10 classes, dark" "${common[@]}" "${cards[@]}" "${matrix[@]}"
drive eval1000.html 1280
told "1000 classes" "${common[@]}" "${matrix[@]}" "far is nothing: true"
drive eval100.html 360 's/^"use strict";$/throw 0;/'
told "no scripts" "nothing dead: true" "to read: true"

# ---- The checks see defects --------------------------------------------------------------------
drive page.html 360 '
s/unsure: (a, b) => a.value - b.value/unsure: (a, b) => b.value - a.value/
s/card.element.hidden = !fits/card.element.hidden = false/
s/<main>/<main><p style="width:9000px" id="x">wide<\/p><button id="x"><\/button>/
s/--quiet: light-dark(#[0-9a-f]*/--quiet: light-dark(#999999/
s/^button, input, select {$/& scroll-behavior: smooth; outline: none !important;/'
lacks "least sure first: true" "find: true" "overflow: false" "nameless: 0" "ids twice: 0" \
      "contrast at first: good" "moving: 0" "focus unseen: 0"
told "the dark colours beside them" "contrast changed: good"
drive eval10.html 820 '
s/ArrowRight: \[0, 1\]/ArrowRight: [1, 0]/
s/return cell ? \[cell.parentNode.rowIndex - 1/return cell ? [cell.parentNode.rowIndex/
s/card.label === wanted.label/true/
s/head.setAttribute("aria-sort", now)/void now/
s/section.focus(/void (/'
lacks "keys move: true" "pointer tells: true" "enter shows: true" "turned around: true" \
      "focus follows: true"
drive eval100.html 360 's/^"use strict";$/throw 0;/
s/html:not(.scripted) .script/.nothing/'
lacks "nothing dead: true"
finish
