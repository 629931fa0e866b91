// Headings of sortable tables become buttons; columns of row heads hold text, others numbers. Empty cells stay last.
const keyOf = (row, column, isText) => {
  const text = row.cells[column].dataset.value ?? row.cells[column].innerText.trim();
  return isText ? text : parseFloat(text.replace(/^[>\u2248]\s*/, "").replace("\u2212", "-"));
};
const isMissing = (key) => key === "" || Number.isNaN(key);
const sortTable = (table, column, isUp) => {
  const rows = [...table.tBodies[0].rows], heads = [...table.tHead.rows[table.tHead.rows.length - 1].cells];
  const isText = rows.every((row) => row.cells[column].tagName === "TH");
  const compare = (a, b) => isMissing(a) || isMissing(b) ? isMissing(a) - isMissing(b)
    : (isUp ? 1 : -1) * (isText ? a.localeCompare(b, undefined, { numeric: true }) : a - b);
  const keys = new Map(rows.map((row) => [row, keyOf(row, column, isText)]));
  table.tBodies[0].append(...rows.sort((a, b) => compare(keys.get(a), keys.get(b))));
  heads.forEach((head, i) => i === column ? head.setAttribute("aria-sort", isUp ? "ascending" : "descending")
    : head.removeAttribute("aria-sort"));
};
const makeSortable = (table) => {
  if (!table.tBodies[0].rows.length) return;
  for (const head of table.tHead.rows[table.tHead.rows.length - 1].cells) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () =>
      sortTable(table, head.cellIndex, head.getAttribute("aria-sort") !== "ascending"));
  }
};
document.querySelectorAll("table.sortable").forEach(makeSortable);
