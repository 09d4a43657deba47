"use strict";
const read = (id) => JSON.parse(document.getElementById(id).textContent);

function draw() {
  const points = read("points"), figures = read("figures");
  for (const place of document.querySelectorAll("[data-figure]")) {
    const spec = figures[place.dataset.figure];
    for (const data of spec.data) if (data.name === "trials") data.values = points.map((point) => ({ ...point }));
    new vega.View(vega.parse(spec), { renderer: "svg", container: place, hover: false })
      .runAsync()
      .catch((error) => { place.textContent = `This figure cannot be drawn: ${error.message}`; console.error(error); });
  }
}

function choosable() {
  const button = document.getElementById("theme"), themes = ["system", "light", "dark"];
  const show = (theme) => {
    if (theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    button.textContent = `Theme: ${theme}`;
  };
  let now = "system";
  try { now = localStorage.getItem("pdsearch-theme") || now; } catch { /* a browser may forbid it to files */ }
  show(now);
  button.addEventListener("click", () => {
    now = themes[(themes.indexOf(now) + 1) % themes.length];
    show(now);
    try { localStorage.setItem("pdsearch-theme", now); } catch { /* it then holds until the page is closed */ }
  });
}

function sortable(table) {
  const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0], rows = [...body.rows];
  table.parentElement.classList.add("trials-box");
  const value = (row, place) => {
    const text = row.cells[place].textContent, number = Number(text);
    return text === "-" || text === "" ? null : Number.isNaN(number) ? text : number;
  };
  const compare = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b)));
  heads.forEach((head, place) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const keyed = rows.map((row) => [value(row, place), row]);
      // Trials without a value stay last, whichever way the column is sorted.
      keyed.sort(([a], [b]) => (a === null ? 1 : b === null ? -1 : down ? compare(b, a) : compare(a, b)));
      body.append(...keyed.map(([, row]) => row));
    });
  });
  const filter = document.getElementById("filter"), count = document.getElementById("count");
  const texts = rows.map((row) => [...row.cells].map((cell) => cell.textContent).join(" ").toLowerCase());
  const apply = () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    rows.forEach((row, place) => {
      row.hidden = !words.every((word) => texts[place].includes(word));
      shown += !row.hidden;
    });
    count.textContent = `${shown} of ${rows.length} trials`;
  };
  filter.addEventListener("input", apply);
  apply();
}

// Figures are drawn as wide as a sheet, so that their words keep their size.
function printable() {
  const wide = (paper) => {
    document.documentElement.classList.toggle("paper", paper);
    window.dispatchEvent(new Event("resize"));
  };
  window.addEventListener("beforeprint", () => wide(true));
  window.addEventListener("afterprint", () => wide(false));
}

choosable();
printable();
const trials = document.getElementById("all-trials");
if (trials) sortable(trials);
if (typeof vega !== "undefined") draw();
