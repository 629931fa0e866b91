// On a page that is served: replaces what has changed, section by section, and keeps the order of tables, what is
// scrolled, what has the focus and what plays.
const SECONDS = 2;
let version = null;
const lastHeads = (table) => [...table.tHead.rows[table.tHead.rows.length - 1].cells];
const stateOf = (section) => ({
  order: [...section.querySelectorAll("table")].map((table) => {
    const head = lastHeads(table).find((head) => head.hasAttribute("aria-sort"));
    return head && { text: head.innerText, isUp: head.getAttribute("aria-sort") === "ascending" };
  }),
  scrolled: [...section.querySelectorAll(".wide")].map((box) => [box.scrollLeft, box.scrollTop]),
  focus: [...section.querySelectorAll("button, a")].indexOf(document.activeElement),
});
const restore = (section, { order, scrolled, focus }) => {
  section.querySelectorAll("table.sortable").forEach((table, i) => {
    const head = order[i] && lastHeads(table).find((head) => head.innerText === order[i].text);
    if (head) sortTable(table, head.cellIndex, order[i].isUp);
  });
  section.querySelectorAll(".wide").forEach((box, i) => box.scrollTo(...(scrolled[i] ?? [0, 0])));
  if (focus >= 0) section.querySelectorAll("button, a")[focus]?.focus({ preventScroll: true });
};
const put = (section) => {
  const find = (key) => sections().find((other) => other.dataset.key === key);
  const before = find(section.dataset.key), previous = find(section.previousElementSibling?.dataset.key);
  const parent = document.querySelector(section.parentElement.tagName === "MAIN" ? "main" : "main > .charts");
  const state = before && stateOf(before), after = document.importNode(section, true);
  if (before) before.replaceWith(after);
  else if (previous) previous.after(after);
  else parent.prepend(after);
  after.querySelectorAll("table.sortable").forEach(makeSortable);
  if (state) restore(after, state);
};
const show = (page) => {
  const wanted = sections(page), keys = wanted.map((section) => section.dataset.key), position = scrollY;
  document.title = page.title;
  document.querySelector("h1").textContent = page.querySelector("h1").textContent;
  sections().filter((section) => !keys.includes(section.dataset.key)).forEach((section) => section.remove());
  for (const section of wanted) {
    if (sources.get(section.dataset.key) === section.outerHTML) continue;
    sources.set(section.dataset.key, section.outerHTML);
    put(section);
  }
  drawCharts();
  scrollTo(scrollX, position);
};
const refresh = async () => {
  const state = document.querySelector("#state");
  const tell = (text) => { if (state.textContent !== text) state.textContent = text; };
  try {
    const answer = await fetch(location.href, { headers: version ? { "If-None-Match": version } : {}, cache: "no-store" });
    if (answer.status === 200) {
      show(new DOMParser().parseFromString(await answer.text(), "text/html"));
      version = answer.headers.get("ETag");
    }
    tell(answer.ok || answer.status === 304 ? "This page follows the runs." : `Not refreshed: ${await answer.text()}`);
  } catch {
    tell("Not refreshed: the command that serves this page has ended.");
  }
  setTimeout(refresh, 1000 * SECONDS);
};
refresh();
