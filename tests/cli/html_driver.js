// Uses a page as its readers do and tells the window around it what happened, one [name: value] a
// line. test_cli_html_browser.sh appends it to a copy of a page, which it plants defects in.
"use strict";
(async () => {
const told = [];
const tell = (name, value) => told.push(`[${name}: ${value}]`);
const one = (selector, from = document) => from.querySelector(selector);
const all = (selector, from = document) => [...from.querySelectorAll(selector)];
const wait = () => new Promise((done) => setTimeout(done, 20));
const isSorted = (list) => list.every((value, i) => i === 0 || list[i - 1] <= value);
const kind = document.documentElement.dataset.kind;
const form = one("#controls");
const isSeen = (element) => element.checkVisibility({ checkVisibilityCSS: true });
const shown = () => all(".card:not([hidden])");
const files = () => shown().map((card) => one(".file", card).textContent);
const set = async (name, value, event = "input") => {
    form[name].value = value;
    form[name].dispatchEvent(new Event(event, { bubbles: true }));
    await wait();
};

// ---- Contrast: WCAG 2's ratio of each text to what is painted under it ----
const pixel = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
const rgbOver = (colour, ground) => { // any CSS colour, painted over an opaque one
    pixel.globalCompositeOperation = "source-over";
    pixel.fillStyle = `rgb(${ground.join()})`;
    pixel.fillRect(0, 0, 1, 1);
    pixel.fillStyle = colour;
    pixel.fillRect(0, 0, 1, 1);
    return [...pixel.getImageData(0, 0, 1, 1).data].slice(0, 3);
};
const luminance = (rgb) => {
    const [r, g, b] = rgb.map((value) => value / 255)
        .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const contrast = (a, b) => {
    const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
    return (high + 0.05) / (low + 0.05);
};
const groundOf = (element, known) => {
    if (!element) { return [255, 255, 255]; }
    if (!known.has(element)) {
        known.set(element, rgbOver(getComputedStyle(element).backgroundColor,
                                   groundOf(element.parentElement, known)));
    }
    return known.get(element);
};
const leastContrast = () => {
    const known = new Map();
    let least = 21, where = "";
    for (const element of all("body *")) {
        const texts = [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE &&
                                                             node.data.trim() !== "");
        if (!texts || !isSeen(element) || element.closest("#told, script, option")) { continue; }
        const ground = groundOf(element, known);
        const ratio = contrast(rgbOver(getComputedStyle(element).color, ground), ground);
        if (ratio < least) { least = ratio; where = element.className || element.tagName; }
    }
    return [least, where];
};
const tellContrast = (name) => {
    const [least, where] = leastContrast();
    tell(`contrast ${name}`, least >= 4.5 ? "good" : `${least.toFixed(2)} at ${where}`);
};

// ---- What holds for every page ----
const checkAll = async () => {
    tell("width", innerWidth);
    tell("overflow", document.documentElement.scrollWidth > innerWidth);
    tell("title", document.title.includes("planted") ? "planted" : "ours");
    tell("requests", performance.getEntriesByType("resource")
        .filter((entry) => !entry.name.startsWith("data:")).length);
    const moving = all("*").filter((element) => {
        const style = getComputedStyle(element);
        return style.animationName !== "none" || parseFloat(style.transitionDuration) > 0 ||
            style.scrollBehavior === "smooth";
    });
    tell("moving", moving.length);
    const stops = all("a, button, input, select, summary, [tabindex='0']").filter(isSeen);
    const unseen = stops.slice(0, 60).filter((element) => {
        element.focus({ focusVisible: true, preventScroll: true });
        const style = getComputedStyle(element);
        return document.activeElement !== element || style.outlineStyle === "none" ||
            parseFloat(style.outlineWidth) < 2;
    });
    tell("focus unseen", stops.length > 0 ? unseen.length : "no stops");
    const nameless = stops.filter((element) => element.textContent.trim() === "" &&
        !element.ariaLabel && !(element.labels && element.labels.length > 0));
    tell("nameless", nameless.length);
    const ids = all("[id]").map((element) => element.id);
    tell("ids twice", ids.length - new Set(ids).size);
    const before = getComputedStyle(document.body).backgroundColor;
    tellContrast("at first");
    one("#theme").click();
    tell("colours change", getComputedStyle(document.body).backgroundColor !== before);
    tellContrast("changed");
    one("#theme").click();
};

// ---- Cards ----
const checkCards = async () => {
    const values = () => all(".card").map((card) => parseFloat(one(".number", card).textContent));
    const [first, count] = [files()[0], shown().length];
    tell("controls", isSeen(form));
    await set("sort", "path", "change");
    tell("by path", isSorted(all(".card .path").map((path) => path.textContent)));
    await set("sort", "unsure", "change");
    tell("least sure first", isSorted(values()));
    await set("sort", "sure", "change");
    tell("surest first", isSorted(values().reverse()));
    const last = files().at(-1);
    await set("find", ` ${last.toUpperCase()} `);
    tell("find", files().length >= 1 && files().every((file) => file === last));
    await set("find", "");
    const label = form.label.options[1].value;
    await set("label", label);
    const found = shown().map((card) => one(".label", card).textContent);
    tell("by answer", form.label.options[1].text === `${label} (${found.length})` &&
         found.length > 0 && found.every((answer) => answer === label));
    await set("find", "no card has these words");
    tell("count", one("#count").textContent);
    one("#show-all").click();
    await wait();
    tell("all again", shown().length === count && files()[0] === first);
};

const checkSearch = async () => {
    const query = form.query.options[2].value;
    await set("query", query);
    const groups = all(".group").filter(isSeen);
    tell("one query", groups.length === 1 && one("h2", groups[0]).textContent === query);
    one("#show-all").click();
    await wait();
    tell("all queries", all(".group").filter(isSeen).length === form.query.options.length - 1);
};

// ---- Evaluation ----
const labels = all("#classes tbody th").map((th) => th.textContent);
const readout = () => one("#readout").textContent;
const matrix = one("#matrix");
const canvas = matrix && one("canvas", matrix);
const entries = () => { // [row, column, count]
    const flat = JSON.parse(one("#confusion") ? one("#confusion").textContent : "[]");
    const list = [];
    for (let i = 0; i < flat.length; i += 3) { list.push(flat.slice(i, i + 3)); }
    all("#matrix tbody tr").forEach((tr, r) => all("td", tr).forEach((td, c) => {
        if (td.textContent !== "") { list.push([r, c, Number(td.textContent)]); }
    }));
    return list;
};
const point = (type, row, column, off, pointerType = "mouse") => {
    const target = canvas || one("#matrix tbody").rows[row].cells[column + 1];
    const box = target.getBoundingClientRect();
    const [x, y, pitch] = canvas ? [column, row, box.width / labels.length] : [0, 0, box.width];
    target.dispatchEvent(new PointerEvent(type, {
        bubbles: true, pointerType, clientX: box.left + (x + 0.5) * pitch + off,
        clientY: box.top + (canvas ? (y + 0.5) * pitch : box.height / 2) + off }));
};
const says = ([row, column, count], sum) => readout() === (row === column
    ? `${labels[row]}: ${count} of ${sum} right`
    : `${labels[row]} taken for ${labels[column]}: ${count} of ${sum}`);
const showsOnly = ([row, column]) => shown().length > 0 && shown().every((card) =>
    one(".truth", card).textContent === labels[row] &&
    one(".label", card).textContent === labels[column]);
// The pictures of an entry, or a word that not all of them are on the page; and which they are.
const showsAll = (entry) => {
    const note = one("#count").textContent;
    const [row, column, count] = entry;
    return note.includes(`: ${labels[row]} taken for ${labels[column]}`) &&
        (shown().length === count ? showsOnly(entry) && !note.includes("not on")
            : shown().length < count && note.includes(`(${count - shown().length} not on this`));
};
const press = (key) => matrix.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));

const checkMatrix = async () => {
    const list = entries();
    const sumOf = (row) => list.filter((e) => e[0] === row).reduce((sum, e) => sum + e[2], 0);
    const rows = list.filter((e) => e[0] === 0 && e[1] > 0).sort((a, b) => a[1] - b[1]);
    matrix.focus({ focusVisible: true });
    tell("focus tells", says(list.find((e) => e[0] === 0 && e[1] === 0), sumOf(0)));
    press("ArrowDown"); // in a picture to the next class, in a table to the next cell
    const below = [1, canvas ? 1 : 0];
    const count = list.find((e) => e[0] === below[0] && e[1] === below[1]) || [0, 0, 0];
    tell("down leads", says([...below, count[2]], sumOf(1)));
    press("ArrowUp");
    tell("up leads back", says(list.find((e) => e[0] === 0 && e[1] === 0), sumOf(0)));
    const steps = canvas ? 1 : rows[0][1]; // in a picture a key leads to the next entry
    for (let i = 0; i < steps; i++) { press("ArrowRight"); }
    tell("keys move", says(rows[0], sumOf(0)));
    press("Enter");
    await wait();
    tell("enter shows", showsAll(rows[0]));
    tell("focus follows", document.activeElement.id === "pictures");
    tell("way back", isSeen(one("#back")) && one(one("#back").getAttribute("href")) === matrix);
    // An entry with no other near it is found by pointing beside it, in a table inside its cell.
    const far = canvas ? 24 * labels.length / canvas.clientWidth : 0;
    const lone = list.filter((e) => e[0] !== e[1]).reverse()
        .find((e) => list.every((o) => o === e || Math.hypot(o[0] - e[0], o[1] - e[1]) > far));
    point("pointermove", lone[0], lone[1], 4);
    tell("pointer tells", says(lone, sumOf(lone[0])));
    const before = readout();
    if (canvas) {
        point("pointermove", lone[0], lone[1], 14);
        tell("far is nothing", readout() === before);
    }
    point("click", lone[0], lone[1], 0);
    await wait();
    tell("click shows", showsAll(lone));
    one("#show-all").click();
    await wait();
    const everything = shown().length;
    point("click", lone[0], lone[1], 0, "touch");
    await wait();
    const patient = shown().length === everything && says(lone, sumOf(lone[0]));
    one("#open").click();
    await wait();
    tell("tap tells, button shows", patient && showsAll(lone));
    tell("elements", document.getElementsByTagName("*").length < 40000 ? "few" : "many");
};

const checkTables = async () => {
    const mistake = one("#mistakes tbody tr");
    one("button", mistake).click();
    await wait();
    tell("mistake shows", showsOnly([mistake.dataset.row, mistake.dataset.column]));
    one("#classes tbody button").click();
    await wait();
    tell("class shows", shown().every((card) => one(".truth", card).textContent === labels[0]));
    one("#show-all").click();
    await wait();
    const heads = all("#classes thead th");
    const rows = () => all("#classes tbody tr");
    const column = () => rows().map((row) => parseFloat(row.cells[2].textContent));
    const compare = new Intl.Collator("en", { numeric: true }).compare;
    one("button", heads[2]).click();
    tell("classes by top-1", heads[2].ariaSort === "descending" && isSorted(column().reverse()));
    one("button", heads[2]).click();
    tell("turned around", heads[2].ariaSort === "ascending" && isSorted(column()));
    one("button", heads[0]).click();
    tell("classes by name", heads[0].ariaSort === "ascending" && heads[2].ariaSort === "none" &&
         rows().map((row) => row.cells[0].textContent)
             .every((name, i, names) => i === 0 || compare(names[i - 1], name) <= 0));
};

// What is left where scripts are off; the driver itself is one.
const checkStill = () => {
    tell("nothing dead", !isSeen(form) && !isSeen(one("#theme")) && all(".script").every(
        (element) => !isSeen(element)) && !(canvas && isSeen(canvas)));
    tell("to read", shown().length > 0 && all("#mistakes tr").length > 1 &&
         all("#classes tr").length === labels.length + 1 && labels.length > 1);
};

try {
    if (!document.documentElement.classList.contains("scripted")) {
        checkStill();
    } else {
        await checkAll();
        if (form && kind !== "search") { await checkCards(); }
        if (kind === "search") { await checkSearch(); }
        if (matrix) {
            await checkMatrix();
            await checkTables();
        }
    }
} catch (failure) {
    tell("driver", failure.stack);
}
tell("driver", "done");
parent.postMessage(told.join("\n"), "*");
})();
