#!/bin/bash
# The page of --html: that it is written. What it does in a browser: test_cli_html_browser.sh.
. "$(dirname "$0")/common.sh"
export CLIPCU_MODEL=$model
ppm red.ppm 377 000 000
ppm green.ppm 000 310 000
ppm "b'<script>lue.ppm" 000 000 377
printf 'not a picture' >bad.jpg
printf 'red\ngreen\n<script>alert(1)</script>\n' >labels.txt

run classify red.ppm bad.jpg green.ppm "b'<script>lue.ppm" --labels labels.txt --html page.html \
    --format jsonl
exits 2 "a page with a bad picture"
is_jsonl out
report $? "results beside the page"
test "$(grep -c '<li class="card"' page.html)" -eq 3
report $? "a card per picture"
grep -q '1 picture could not be read' page.html
report $? "the bad picture is on the page"
test "$(grep -c '<script' page.html)" -eq 1
report $? "labels and paths stay text"
run classify red.ppm green.ppm --labels labels.txt --html page1.html --html-max 1
grep -q 'This page shows 1 of 2' page1.html
report $? "--html-max"
run embed red.ppm green.ppm -o vectors
run search vectors --query "<b>red" --html search.html
exits 0 "a page of a search"
test "$(grep -c 'data:image/jpeg' search.html)" -eq 2 && grep -q '<h2>&lt;b&gt;red</h2>' search.html
report $? "a search: the query, and a thumbnail per hit"
run search vectors --image red.ppm --html search.html
test "$(grep -c 'data:image/jpeg' search.html)" -eq 3 &&
    grep -q '<h2><img .*red.ppm</h2>' search.html
report $? "a search for a picture shows the picture"
run classify red.ppm --labels labels.txt --html no/such/page.html
exits 3 "a folder that is not there"
run classify red.ppm --labels labels.txt --html -
exits 3 "a page on standard output"
says "expected a file to write" "a page on standard output"
test "$(find . -name '*.part*' -o -name '*.html.*' | wc -l)" -eq 0
report $? "no temporary files are left"

finish
