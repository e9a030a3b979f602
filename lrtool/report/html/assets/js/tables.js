// Tables that stand in the page already: sorted by a press on a head, filtered by what is typed above them.

/** Numbers before texts, what is missing last. */
function order(a, b) {
  const [left, right] = [a === null || a === "—" || a === "", b === null || b === "—" || b === ""];
  if (left || right) return left - right;
  const numbers = [typeof a === "number", typeof b === "number"];
  if (numbers[0] && numbers[1]) return a - b;
  if (numbers[0] !== numbers[1]) return numbers[1] - numbers[0];
  return collator.compare(a, b);
}

/** Say in the heads which column is sorted, and which way; gives the direction: 1 or −1. */
function markSorted(heads, place) {
  const up = heads[place].getAttribute("aria-sort") !== "ascending";
  heads.forEach((head) => head.removeAttribute("aria-sort"));
  heads[place].setAttribute("aria-sort", up ? "ascending" : "descending");
  return up ? 1 : -1;
}

function cellValue(row, place) {
  const cell = row.cells[place];
  if (cell.dataset.value) return Number(cell.dataset.value);
  const text = cell.textContent.trim();
  const number = Number(text.replaceAll(",", ""));
  return text !== "" && !Number.isNaN(number) ? number : text;
}

function sortable(table) {
  const heads = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  heads.forEach((head, place) => head.firstElementChild.addEventListener("click", () => {
    const way = markSorted(heads, place);
    body.append(...[...body.rows].sort((a, b) => way * order(cellValue(a, place), cellValue(b, place))));
  }));
  if (body.rows.length < 8) return;
  const find = make("input", { type: "search", placeholder: "filter rows", "aria-label": `Filter: ${table.caption.textContent}` });
  find.addEventListener("input", () => {
    const terms = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of body.rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !terms.every((term) => text.includes(term));
    }
  });
  table.closest(".scroll").before(make("div", { class: "controls" }, find));
}
