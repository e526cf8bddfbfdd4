#!/bin/bash
# The page of --html: that it is written, and what it does in a browser where there is one.
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
run classify red.ppm --labels labels.txt --html no/such/page.html
exits 3 "a folder that is not there"
run classify red.ppm --labels labels.txt --html -
exits 3 "a page on standard output"
says "expected a file to write" "a page on standard output"
test "$(find . -name '*.part*' -o -name '*.html.*' | wc -l)" -eq 0
report $? "no temporary files are left"

browser=''
for name in chromium chromium-browser google-chrome; do
    if command -v "$name" >/dev/null 2>&1; then browser=$name; break; fi
done
if test -z "$browser"; then
    skip "what the page does in a browser" "no chromium or google-chrome"
    finish
fi

browse() { # FILE OPTION...: the page's DOM after its scripts is in dom, the console in console
    page=$1
    shift
    timeout 60 "$browser" --headless --no-sandbox --disable-gpu --user-data-dir="$work/profile" \
        --virtual-time-budget=3000 --enable-logging=stderr "$@" --dump-dom "file://$work/$page" \
        >dom 2>console </dev/null
}

# The page with a test's script in it, which the page's own policy would not run.
drive() { # FROM TO [SED]: SED plants a defect
    sed -e "s|script-src 'sha256-[^']*'|script-src 'unsafe-inline'|" -e "${3:-}" "$1" >"$2"
    cat >>"$2" <<'END'
<pre id="told"></pre><script>
(async () => {
    const told = [], wait = () => new Promise((done) => setTimeout(done, 20));
    const tell = (name, value) => told.push(`[${name}: ${value}]`);
    const files = () => [...document.querySelectorAll(".card:not([hidden])")]
        .map((card) => card.querySelector(".file").textContent);
    const values = () => [...document.querySelectorAll(".card")]
        .map((card) => parseFloat(card.querySelector(".number").textContent));
    const form = document.querySelector("#controls");
    const set = async (name, value, event) => {
        form[name].value = value;
        form[name].dispatchEvent(new Event(event, { bubbles: true }));
        await wait();
    };
    const sorted = (list) => list.every((v, i) => i === 0 || list[i - 1] <= v);
    tell("controls", !form.hidden);
    await set("sort", "path", "change");
    tell("by path", files()[0][0] === "b" && files()[1][0] === "g" && files()[2][0] === "r");
    await set("sort", "unsure", "change");
    tell("least sure first", sorted(values()));
    await set("sort", "sure", "change");
    tell("surest first", sorted(values().reverse()));
    await set("find", "green.p", "input");
    tell("find", files().join() === "green.ppm");
    await set("find", "", "input");
    const label = form.label.options[1].value;
    await set("label", label, "input");
    const count = files().length;
    tell("by answer", form.label.options[1].text === `${label} (${count})` && count > 0);
    form.reset();
    await wait();
    tell("all again", files().length === 3 && files()[0] === "red.ppm");
    tell("alerts", document.title.includes("planted") ? "ran" : "none");
    tell("requests", performance.getEntriesByType("resource")
        .filter((entry) => !entry.name.startsWith("data:")).length);
    tell("overflow", document.documentElement.scrollWidth > innerWidth);
    const ground = () => getComputedStyle(document.body).backgroundColor;
    const before = ground();
    document.querySelector("#theme").click();
    tell("colours change", ground() !== before);
    document.querySelector("#told").textContent = told.join("\n");
})();
</script>
END
}

told() { # TEXT
    grep -qF "[$1]" dom
    report $? "in the browser: $1"
}

browse page.html
if ! grep -q '</html>' dom; then
    skip "what the page does in a browser" "$browser does not run here"
    finish
fi
! grep -q CONSOLE console
report $? "in the browser: the console stays empty"
grep -qE '<form id="controls"[^>]*>' dom && ! grep -qE '<form id="controls"[^>]*hidden' dom
report $? "in the browser: the page's own script runs under its policy"

drive page.html driven.html
browse driven.html --window-size=360,740
for line in "controls: true" "by path: true" "least sure first: true" "surest first: true" \
            "find: true" "by answer: true" "all again: true" "requests: 0" "overflow: false" \
            "colours change: true"; do
    told "$line"
done

# The checks see a defect: sorting broken, filtering broken, something wider than the page, a
# script that the policy has to stop.
drive page.html defect.html \
    's/unsure: (a, b) => a.value - b.value/unsure: (a, b) => b.value - a.value/'
browse defect.html
grep -qF "[least sure first: false]" dom
report $? "a planted defect in sorting is seen"
drive page.html defect.html 's/card.element.hidden = !fits/card.element.hidden = false/'
browse defect.html
grep -qF "[find: false]" dom
report $? "a planted defect in filtering is seen"
drive page.html defect.html 's/<main>/<main><div style="width:9000px">wide<\/div>/'
browse defect.html --window-size=360,740
grep -qF "[overflow: true]" dom
report $? "a planted overflow is seen"
sed 's/<main>/<main><script>document.title = "planted"<\/script>/' page.html >defect.html
browse defect.html
grep -q 'CONSOLE.*Content Security Policy' console && ! grep -q '<title>planted' dom
report $? "the policy stops a planted script"
finish
