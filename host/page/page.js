// What a page does beyond being read: colours, order, filters, the matrix. It only moves and hides
// what is there; texts are read and written as text, never as HTML.
"use strict";
(() => {
const root = document.documentElement;
const find = (selector, from = document) => from.querySelector(selector);
const all = (selector, from = document) => [...from.querySelectorAll(selector)];
const text = (element) => (element ? element.textContent : "");
const number = (element) => {
    const value = parseFloat(text(element).replace(/,/g, ""));
    return Number.isNaN(value) ? -1 : value;
};
const bold = (words) => {
    const element = document.createElement("b");
    element.textContent = words;
    return element;
};
const makeButton = (nodes, onClick) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...nodes);
    button.addEventListener("click", onClick);
    return button;
};
root.classList.add("scripted");

// ---- Light and dark ----
const theme = find("#theme");
let onTheme = () => {};
const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark"
                                         : matchMedia("(prefers-color-scheme: dark)").matches);
const nameTheme = () => { theme.textContent = isDark() ? "Light" : "Dark"; onTheme(); };
theme.hidden = false;
theme.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    nameTheme();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", nameTheme);

// ---- Cards ----
const groups = all(".group").map((element) => ({ element, query: text(find("h2", element)) }));
const queries = new Map(groups.map((group) => [group.element, group.query]));
const cards = all(".card").map((element, index) => ({
    element, index, list: element.parentNode,
    query: queries.get(element.closest(".group")),
    label: text(find(".scores .label", element)),
    value: number(find(".number", element)),
    truth: text(find(".truth", element)),
    path: text(find(".path", element)),
    verdict: element.classList.contains("wrong") ? "wrong" : "right",
    words: element.textContent.toLowerCase(),
}));
const compare = new Intl.Collator("en", { numeric: true }).compare;
const orders = {
    "": (a, b) => a.index - b.index,
    sure: (a, b) => b.value - a.value || a.index - b.index,
    unsure: (a, b) => a.value - b.value || a.index - b.index,
    label: (a, b) => compare(a.label, b.label) || b.value - a.value,
    path: (a, b) => compare(a.path, b.path),
};
const form = find("#controls");
const plural = (count) => (count === 1 ? "picture" : "pictures");
// A cell of the matrix, or a row of it, whose pictures are to be shown; null: any.
// { truth, label (null: any answer), counted: how many pictures the evaluation found there }
let wanted = null;

function sayCount(shown) {
    const output = find("#count");
    output.replaceChildren(`${shown} of ${cards.length} shown`);
    if (wanted !== null) {
        output.append(": ", bold(wanted.truth));
        if (wanted.label !== null) {
            output.append(...(wanted.label === wanted.truth ? [", right"]
                                                            : [" taken for ", bold(wanted.label)]));
        }
        if (wanted.counted > shown) {
            output.append(` (${wanted.counted - shown} not on this page)`);
        }
    }
    find("#show-all").hidden = shown === cards.length;
    find("#back").hidden = wanted === null || !find("#matrix");
}

function filter() {
    const words = form.find.value.trim().toLowerCase();
    const query = form.query.value;
    const label = form.label.value;
    const verdict = form.verdict.value;
    let shown = 0;
    for (const card of cards) {
        const fits = card.words.includes(words) && (label === "" || card.label === label) &&
            (query === "" || card.query === query) &&
            (verdict === "" || card.verdict === verdict) &&
            (wanted === null || (card.truth === wanted.truth &&
                                 (wanted.label === null || card.label === wanted.label)));
        card.element.hidden = !fits;
        shown += fits;
    }
    for (const group of groups) {
        group.element.hidden = !find(".card:not([hidden])", group.element);
    }
    sayCount(shown);
}

function sort() {
    const lists = new Map();
    for (const card of [...cards].sort(orders[form.sort.value])) {
        if (!lists.has(card.list)) { lists.set(card.list, document.createDocumentFragment()); }
        lists.get(card.list).append(card.element);
    }
    for (const [list, sorted] of lists) { list.append(sorted); }
}

// The options of a select: what occurs, how often.
function addOptions(select, values) {
    const counts = new Map();
    for (const value of values) { counts.set(value, (counts.get(value) || 0) + 1); }
    for (const [value, count] of [...counts].sort((a, b) => compare(a[0], b[0]))) {
        select.append(new Option(`${value} (${count})`, value));
    }
}

if (form) {
    if (groups.length > 0) {
        for (const group of groups) { form.query.append(new Option(group.query)); }
        if (groups.length === 1) { find(".query-filter").hidden = true; }
    } else {
        addOptions(form.label, cards.map((card) => card.label));
    }
    form.hidden = false;
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("input", filter);
    form.sort.addEventListener("change", sort);
    form.addEventListener("reset", () => {
        wanted = null;
        setTimeout(() => { filter(); sort(); }); // the fields still have their values
    });
    filter();
}

// Shows the pictures of one class that were taken for another, or all of that class.
function show(truth, label, counted) {
    if (!form) { return; }
    form.reset();
    setTimeout(() => {
        wanted = { truth, label, counted };
        filter();
        const section = find("#pictures");
        section.focus({ preventScroll: true });
        section.scrollIntoView();
    });
}

// ---- The table of classes, and that of mistakes ----
const classes = find("#classes");
const labels = classes ? all("tbody th", classes).map(text) : [];

function sortClasses(head, column) {
    const first = column === 0 ? "ascending" : "descending";
    const other = column === 0 ? "descending" : "ascending";
    const now = head.getAttribute("aria-sort") === first ? other : first;
    const sign = now === "ascending" ? 1 : -1;
    for (const th of all("thead th", classes)) { th.setAttribute("aria-sort", "none"); }
    head.setAttribute("aria-sort", now);
    const rows = all("tbody tr", classes).sort((a, b) => sign * (column === 0
        ? compare(text(a.cells[0]), text(b.cells[0]))
        : number(a.cells[column]) - number(b.cells[column])));
    find("tbody", classes).append(...rows);
}

if (classes) {
    all("thead th", classes).forEach((head, column) => {
        head.append(makeButton([...head.childNodes], () => sortClasses(head, column)));
        head.setAttribute("aria-sort", "none");
    });
    all("tbody tr", classes).forEach((row, k) => {
        const pictures = number(row.cells[1]);
        if (!form || pictures <= 0) { return; }
        const button = makeButton([...row.cells[0].childNodes],
                                  () => show(labels[k], null, pictures));
        button.title = `show the ${plural(pictures)}`;
        row.cells[0].append(button);
    });
}
for (const row of form ? all("#mistakes tr[data-row]") : []) {
    const [is, takenFor] = [labels[row.dataset.row], labels[row.dataset.column]];
    const times = row.cells[2];
    const button = makeButton([...times.childNodes], () => show(is, takenFor, number(times)));
    button.title = `show the ${plural(number(times))}`;
    button.setAttribute("aria-label", `${text(times)}, ${button.title}: ${is}, taken for ` +
                                      `${takenFor}`);
    times.append(button);
}

// ---- The matrix: a table, or a picture drawn from its entries ----
const matrix = find("#matrix");

// The matrix as { K, entries, count(row, column), sums }; an entry is { row, column, count }.
function readMatrix() {
    const K = labels.length;
    const flat = find("#confusion") ? JSON.parse(text(find("#confusion"))) : [];
    const entries = [];
    for (let i = 0; i < flat.length; i += 3) {
        entries.push({ row: flat[i], column: flat[i + 1], count: flat[i + 2] });
    }
    all("tbody tr", matrix).forEach((tr, row) => all("td", tr).forEach((td, column) => {
        if (text(td) !== "") { entries.push({ row, column, count: number(td) }); }
    }));
    const counts = new Map(entries.map((entry) => [entry.row * K + entry.column, entry.count]));
    const sums = new Array(K).fill(0);
    for (const entry of entries) { sums[entry.row] += entry.count; }
    return { K, entries, sums, count: (row, column) => counts.get(row * K + column) || 0 };
}

// A view of the matrix: locate(event) is the cell under a pointer or null; mark(row, column) points
// at one; step(at, down, right) is where an arrow key leads.
function tableView(data) {
    const rows = all("tr", matrix);
    const cellAt = (row, column) => rows[row + 1].cells[column + 1];
    const within = (k) => Math.max(0, Math.min(data.K - 1, k));
    return {
        locate: (event) => {
            const cell = event.target.closest("td");
            return cell ? [cell.parentNode.rowIndex - 1, cell.cellIndex - 1] : null;
        },
        mark: (row, column, byKey) => {
            const cell = cellAt(row, column);
            for (const old of all(".at", matrix)) { old.classList.remove("at"); }
            for (const one of [cell, cellAt(row, -1), cellAt(-1, column)]) {
                one.classList.add("at");
            }
            if (byKey) { cell.scrollIntoView({ block: "nearest", inline: "nearest" }); }
        },
        step: (at, down, right) => [within(at[0] + down), within(at[1] + right)],
    };
}

// Thousands of classes are less than a pixel each: entries are drawn as dots, and whatever points
// at the picture means the nearest one.
function canvasView(data) {
    const DOT = 3, REACH = 10;
    const canvas = find("canvas", matrix);
    const mark = find("#mark");
    const share = (entry) => entry.count / data.sums[entry.row];
    const hits = data.entries.filter((entry) => entry.row === entry.column);
    const misses = data.entries.filter((entry) => entry.row !== entry.column)
        .sort((a, b) => share(a) - share(b)); // the strongest on top
    const worst = misses.length > 0 ? share(misses[misses.length - 1]) : 1;
    let pitch = 1; // of a class, in pixels of the page

    const paintAll = (paint, entries, dot, strength) => {
        for (const entry of entries) {
            const inset = (pitch - dot) / 2;
            paint.globalAlpha = strength(entry);
            paint.fillRect(entry.column * pitch + inset, entry.row * pitch + inset, dot, dot);
        }
    };
    const draw = () => {
        const style = getComputedStyle(canvas); // its two colours, resolved for light or dark
        const side = canvas.clientWidth;
        const scale = window.devicePixelRatio || 1;
        pitch = side / data.K;
        canvas.width = canvas.height = Math.round(side * scale);
        const paint = canvas.getContext("2d");
        paint.scale(scale, scale);
        const gap = pitch > 5 ? 1 : 0;
        paint.fillStyle = style.caretColor;
        paintAll(paint, misses, Math.max(DOT, pitch - gap), (e) => 0.3 + 0.7 * share(e) / worst);
        paint.fillStyle = style.color;
        paintAll(paint, hits, Math.max(DOT - 1, pitch - gap), (e) => 0.25 + 0.75 * share(e));
    };
    const nearest = (entries, far) => {
        let best = null, least = Infinity;
        for (const entry of entries) {
            const distance = far(entry);
            if (distance < least) { best = [entry.row, entry.column]; least = distance; }
        }
        return best;
    };
    canvas.hidden = false;
    onTheme = draw;
    new ResizeObserver(draw).observe(matrix);
    return {
        locate: (event) => {
            const box = canvas.getBoundingClientRect();
            const row = (event.clientY - box.top) / pitch - 0.5;
            const column = (event.clientX - box.left) / pitch - 0.5;
            const reach = Math.max(REACH / pitch, 0.75);
            return nearest(data.entries, (e) => {
                const distance = Math.hypot(e.row - row, e.column - column);
                return distance <= reach ? distance : Infinity;
            });
        },
        mark: (row, column) => {
            const side = Math.max(pitch + 4, 11);
            mark.hidden = false;
            mark.style.width = mark.style.height = `${side}px`;
            mark.style.left = `${canvas.offsetLeft + (column + 0.5) * pitch - side / 2}px`;
            mark.style.top = `${canvas.offsetTop + (row + 0.5) * pitch - side / 2}px`;
        },
        // Right and left lead through all entries, down and up to the next class.
        step: (at, down, right) => nearest(data.entries, (e) => {
            const from = down !== 0 ? at[0] : at[0] * data.K + at[1];
            const to = down !== 0 ? e.row : e.row * data.K + e.column;
            const ahead = (to - from) * (down + right);
            const aside = down !== 0 ? Math.abs(e.column - e.row) / data.K : 0;
            return ahead > 0 ? ahead + aside : Infinity;
        }) || at,
    };
}

function openMatrix() {
    const data = readMatrix();
    const view = find("canvas", matrix) ? canvasView(data) : tableView(data);
    const keys = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
    const button = find("#open");
    let at = [0, 0];
    const tell = ([row, column], byKey) => {
        at = [row, column];
        view.mark(row, column, byKey);
        const count = `${data.count(row, column)} of ${data.sums[row]}`;
        button.hidden = !form || data.count(row, column) === 0;
        find("#readout").replaceChildren(...(row === column
            ? [bold(labels[row]), `: ${count} right`]
            : [bold(labels[row]), " taken for ", bold(labels[column]), `: ${count}`]));
    };
    const open = () => {
        const count = data.count(...at);
        if (count > 0) { show(labels[at[0]], labels[at[1]], count); }
    };
    matrix.addEventListener("pointermove", (event) => {
        const place = view.locate(event);
        if (place && (place[0] !== at[0] || place[1] !== at[1])) { tell(place, false); }
    });
    matrix.addEventListener("click", (event) => {
        const place = view.locate(event);
        if (!place) { return; }
        tell(place, false);
        if (event.pointerType !== "touch") { open(); } // a finger hits too little: it has Show
    });
    button.addEventListener("click", open);
    matrix.addEventListener("focus", () => {
        if (matrix.matches(":focus-visible")) { tell(at, true); }
    });
    matrix.addEventListener("keydown", (event) => {
        if (event.key === "Enter") { open(); }
        if (!(event.key in keys)) { return; }
        event.preventDefault();
        tell(view.step(at, ...keys[event.key]), true);
    });
}
if (matrix) { openMatrix(); }
nameTheme();
})();
