// A click on a heading sorts its table; columns of row heads hold text, others numbers.
document.querySelectorAll(".sortable thead th").forEach((head) => head.addEventListener("click", () => {
  const body = head.closest("table").tBodies[0], column = head.cellIndex, up = head.dataset.up !== "1";
  const key = (row) => row.cells[column].innerText, number = (row) => parseFloat(key(row));
  const isText = body.rows[0].cells[column].tagName === "TH";
  const compare = isText ? (a, b) => key(a).localeCompare(key(b)) : (a, b) => number(a) - number(b);
  body.append(...[...body.rows].sort((a, b) => (up ? 1 : -1) * compare(a, b)));
  head.dataset.up = up ? "1" : "0";
}));
