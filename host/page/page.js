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
const cards = all(".card").map((element, index) => ({
    element, index, list: element.parentNode,
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
let truth = null; // a class that pictures have to show; null: any

function filter() {
    const words = form.find.value.trim().toLowerCase();
    const label = form.label.value;
    const verdict = form.verdict.value;
    let shown = 0;
    for (const card of cards) {
        const fits = card.words.includes(words) && (label === "" || card.label === label) &&
            (verdict === "" || card.verdict === verdict) &&
            (truth === null || card.truth === truth);
        card.element.hidden = !fits;
        shown += fits;
    }
    for (const group of all(".group")) { group.hidden = !find(".card:not([hidden])", group); }
    const which = truth === null ? "" : ` that are ${truth}`;
    find("#count").textContent = `${shown} of ${cards.length} shown${which}`;
    find("#show-all").hidden = shown === cards.length;
}

function sort() {
    const lists = new Map();
    for (const card of [...cards].sort(orders[form.sort.value])) {
        if (!lists.has(card.list)) { lists.set(card.list, document.createDocumentFragment()); }
        lists.get(card.list).append(card.element);
    }
    for (const [list, sorted] of lists) { list.append(sorted); }
}

if (form) {
    const counts = new Map();
    for (const card of cards) { counts.set(card.label, (counts.get(card.label) || 0) + 1); }
    for (const [label, count] of [...counts].sort((a, b) => compare(a[0], b[0]))) {
        form.label.append(new Option(`${label} (${count})`, label));
    }
    form.hidden = false;
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("input", filter);
    form.sort.addEventListener("change", sort);
    form.addEventListener("reset", () => {
        truth = null;
        setTimeout(() => { filter(); sort(); });
    });
    filter();
}

// Shows the pictures of one class that were taken for another.
function showPair(is, takenFor) {
    if (!form || ![...form.label.options].some((option) => option.value === takenFor)) { return; }
    form.reset();
    setTimeout(() => {
        truth = is;
        form.label.value = takenFor;
        filter();
        form.scrollIntoView();
    });
}

// ---- The table of classes ----
const classes = find("#classes");
const labels = classes ? all("tbody th", classes).map(text) : [];
all("thead th", classes || document.createElement("p")).forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    head.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => {
        const before = head.getAttribute("aria-sort");
        const first = column === 0 ? "ascending" : "descending";
        const other = column === 0 ? "descending" : "ascending";
        const now = before === first ? other : first;
        const sign = now === "ascending" ? 1 : -1;
        for (const th of all("thead th", classes)) { th.setAttribute("aria-sort", "none"); }
        head.setAttribute("aria-sort", now);
        const rows = all("tbody tr", classes).sort((a, b) => sign * (column === 0
            ? compare(text(a.cells[0]), text(b.cells[0]))
            : number(a.cells[column]) - number(b.cells[column])));
        find("tbody", classes).append(...rows);
    });
});
for (const row of all("#mistakes tr[data-row]")) {
    row.addEventListener("click", () => showPair(text(row.cells[0]), text(row.cells[1])));
}

// ---- The matrix: a table, or a picture drawn from its entries ----
const matrix = find("#matrix");
if (matrix) {
    const K = labels.length;
    const canvas = find("canvas", matrix);
    const cells = all("tbody tr", matrix).map((row) => all("td", row));
    const counts = new Map();
    const side = Math.max(2, Math.min(20, Math.floor(900 / K)));
    let at = [0, 0];
    const countAt = (r, c) => (canvas ? counts.get(r * K + c) || 0
                                      : Math.max(0, number(cells[r][c])));

    const draw = () => {
        const style = getComputedStyle(root);
        const colour = (name, share) => `rgb(${style.getPropertyValue(name)} / ${share})`;
        const scale = window.devicePixelRatio || 1;
        const most = new Float64Array(K);
        canvas.width = canvas.height = Math.round(K * side * scale);
        canvas.style.width = canvas.style.height = `${K * side}px`;
        const paint = canvas.getContext("2d");
        paint.scale(scale, scale);
        for (let k = 0; k < K; k++) {
            paint.fillStyle = colour("--hit", 0.12);
            paint.fillRect(k * side, k * side, side, side);
        }
        for (const [key, count] of counts) {
            const row = Math.floor(key / K);
            most[row] = Math.max(most[row], count);
        }
        for (const [key, count] of counts) {
            const row = Math.floor(key / K);
            paint.fillStyle = colour(row === key % K ? "--hit" : "--miss",
                                     0.35 + 0.65 * count / most[row]);
            paint.fillRect((key % K) * side, row * side, side, side);
        }
        paint.strokeStyle = style.getPropertyValue("--text");
        paint.strokeRect(at[1] * side - 1, at[0] * side - 1, side + 2, side + 2);
    };
    const tell = (r, c) => {
        if (!canvas) {
            cells[at[0]][at[1]].classList.remove("at");
            cells[r][c].classList.add("at");
        }
        at = [r, c];
        if (canvas) { draw(); }
        find("#readout").textContent = r === c
            ? `${labels[r]}: ${countAt(r, c)} right`
            : `${labels[r]} taken for ${labels[c]}: ${countAt(r, c)}`;
    };
    const locate = (event) => {
        if (canvas) {
            const box = canvas.getBoundingClientRect();
            const r = Math.floor((event.clientY - box.top) / side);
            const c = Math.floor((event.clientX - box.left) / side);
            return r >= 0 && r < K && c >= 0 && c < K ? [r, c] : null;
        }
        const cell = event.target.closest("td");
        return cell ? [cell.parentNode.rowIndex - 1, cell.cellIndex - 1] : null;
    };
    if (canvas) {
        const entries = JSON.parse(text(find("#confusion")));
        for (let i = 0; i < entries.length; i += 3) {
            counts.set(entries[i] * K + entries[i + 1], entries[i + 2]);
        }
        canvas.hidden = false;
        onTheme = draw;
        draw();
    }
    matrix.addEventListener("pointermove", (event) => {
        const place = locate(event);
        if (place && (place[0] !== at[0] || place[1] !== at[1])) { tell(...place); }
    });
    matrix.addEventListener("click", (event) => {
        const place = locate(event);
        if (place) { tell(...place); showPair(labels[place[0]], labels[place[1]]); }
    });
    const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
    matrix.addEventListener("keydown", (event) => {
        if (event.key === "Enter") { showPair(labels[at[0]], labels[at[1]]); }
        if (!(event.key in steps)) { return; }
        event.preventDefault();
        const [r, c] = steps[event.key];
        tell(Math.min(K - 1, Math.max(0, at[0] + r)), Math.min(K - 1, Math.max(0, at[1] + c)));
    });
}
nameTheme();
})();
