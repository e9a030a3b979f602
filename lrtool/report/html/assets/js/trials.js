// The table of trials: only rows that can be seen are in the page, so that ten thousand cost what thirty do.

const ROW_HEIGHT = 31;
const PRINTED = 300;

class TrialsTable {
  constructor(section) {
    this.columns = [...columns.values()].filter((each) => rows.some((row) => !["", null].includes(each.get(row))));
    if (columns.get("kind") && rows.every((row) => value("kind", row) === "training")) this.columns = this.columns.filter((each) => each.key !== "kind");
    if (data.columns[0].words.length < 2) this.columns = this.columns.filter((each) => each.key !== "run");
    this.found = ranking;
    this.texts = null;
    this.find = make("input", { type: "search", placeholder: "filter, e.g. cosine val_loss<0.3", "aria-label": "Filter trials", oninput: () => this.filter() });
    this.said = make("p", { class: "small", "aria-live": "polite" });
    this.heads = this.columns.map((each, place) => make("th", { scope: "col" }, make("button", { type: "button", onclick: () => this.sort(place) }, each.label)));
    this.body = make("tbody");
    const head = make("thead", {}, make("tr", {}, make("th", { scope: "col" }, make("span", { class: "hidden" }, "drawn in colour")), ...this.heads));
    this.table = make("table", { "aria-rowcount": count + 1 }, make("caption", {}, "Trials"), head, this.body);
    this.box = make("div", { class: "scroll trials", tabindex: "0", role: "region", "aria-label": "Trials", onscroll: () => this.fill() }, this.table);
    section.append(make("div", { class: "controls" }, this.find), this.said, this.box);
    selection.told.push(() => this.fill(true));
    printers.push((printing) => { this.printing = printing; this.fill(true); });
    new ResizeObserver(() => this.fill()).observe(this.box);
    this.filter();
  }

  sort(place) {
    const way = markSorted(this.heads, place);
    const get = this.columns[place].get;
    this.order = (a, b) => { const [left, right] = [get(a), get(b)]; return (left === null || right === null ? 1 : way) * order(left, right) || a - b; };
    this.found.sort(this.order);
    this.fill(true);
  }

  /** Words that stand anywhere in a row, and conditions such as val_loss<0.3. */
  filter() {
    const terms = this.find.value.toLowerCase().split(/\s+/).filter(Boolean);
    const tests = terms.map((term) => this.condition(term) ?? ((row) => this.text(row).includes(term)));
    this.found = ranking.filter((row) => tests.every((test) => test(row)));
    if (this.order) this.found.sort(this.order);
    const all = count.toLocaleString("en");
    this.said.textContent = `${this.found.length === count ? all : `${this.found.length.toLocaleString("en")} of ${all}`} trials; tick a row to draw its curves`;
    this.box.scrollTop = 0;
    this.fill(true);
  }

  condition(term) {
    const parts = /^([^<>=]+)(<=|>=|<|>|=)(.+)$/.exec(term);
    const column = parts && this.columns.find((each) => each.label.toLowerCase() === parts[1]);
    const number = parts && Number(parts[3]);
    if (!column || Number.isNaN(number)) return null;
    const holds = { "<": (a) => a < number, ">": (a) => a > number, "<=": (a) => a <= number, ">=": (a) => a >= number, "=": (a) => a === number }[parts[2]];
    return (row) => typeof column.get(row) === "number" && holds(column.get(row));
  }

  text(row) {
    this.texts ??= rows.map((each) => this.columns.map((column) => shown(column.get(each))).join(" ").toLowerCase());
    return this.texts[row];
  }

  /** Put the rows that can be seen into the table, with room for those above and below. */
  fill(again = false) {
    const seen = Math.ceil((this.box.clientHeight || 600) / ROW_HEIGHT) + 20;
    const first = this.printing ? 0 : Math.max(0, Math.floor(this.box.scrollTop / ROW_HEIGHT) - 10);
    const last = Math.min(this.found.length, this.printing ? PRINTED : first + seen);
    if (!again && first === this.first && last === this.last) return;
    [this.first, this.last] = [first, last];
    const focus = this.body.contains(document.activeElement) ? document.activeElement.dataset.row : undefined;
    const trs = [];
    for (let place = first; place < last; place++) trs.push(this.row(this.found[place], place));
    this.body.replaceChildren(this.room(first), ...trs, this.room(this.printing ? 0 : this.found.length - last));
    if (focus !== undefined) this.body.querySelector(`[data-row="${Number(focus)}"]`)?.focus();
  }

  row(row, place) {
    const box = make("input", { type: "checkbox", "data-row": row, "aria-label": `draw ${labelOf(row)}`, onchange: () => selection.toggle(row) });
    box.checked = selection.rows.has(row);
    return make("tr", { "aria-rowindex": place + 2 }, make("td", {}, box), ...this.columns.map((each) => {
      const found = each.get(row);
      return make("td", typeof found === "number" ? { class: "number", title: exact(found) } : { title: found ?? "" }, shown(found));
    }));
  }

  room(many) {
    const row = make("tr", { class: "room", "aria-hidden": "true" }, make("td", { colspan: this.columns.length + 1 }));
    row.firstChild.style.height = `${many * ROW_HEIGHT}px`;
    return row;
  }
}
