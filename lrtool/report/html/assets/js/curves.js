// Curves of all trials: those that are ticked in colour, all others as one grey layer behind.

/** Trials that are drawn in colour; charts and tables that show it are told of changes. */
const selection = {
  rows: new Set(),
  told: [],
  set(chosen) {
    this.rows = new Set(chosen);
    for (const tell of this.told) tell();
  },
  toggle(row) {
    if (!this.rows.delete(row)) this.rows.add(row);
    for (const tell of this.told) tell();
  },
};
const MOST_DRAWN = 200;
const MOST_LISTED = 200;
const MOST_OTHERS = 150_000;

function firstSelection() {
  const main = trained.length ? trained.length : rows.filter((row) => value("kind", row) !== "ramp").length || count;
  const ranked = ranking.slice(0, main);
  return ranked.length <= 40 ? ranked : ranked.slice(0, 12);
}

/** The colour of each variant that is drawn: seeds share one. */
function groupColours(paint) {
  const found = new Map();
  for (const row of selection.rows) {
    const group = `${value("run", row)}\n${value("group", row)}`;
    if (!found.has(group)) found.set(group, paint.series[found.size % paint.series.length]);
  }
  return (row) => found.get(`${value("run", row)}\n${value("group", row)}`) ?? paint.others;
}

function curvesSection(section) {
  const state = { name: data.curves[0], logX: false, logY: false, others: count > 1, whole: false };
  const chart = new Chart(section, {
    title: "Curves",
    about:
      "Values as measured, thinned to what a screen shows. Wheel, drag or the slider zooms (Shift: up and down); with the " +
      "chart in focus + − 0 and the arrows do.",
    height: 420,
    build: (paint) => curveOptions(paint, state),
  });
  // Of many trials the final values are of interest, unless they were measured only once.
  const often = [...selection.rows].some((row) => data.series[row][data.metric]?.[0][1] > 1);
  if (often && count > 40) state.name = data.metric;
  chart.choose("show", data.curves.map((name) => [name, word(name)]), state.name, (name) => (state.name = name));
  chart.check("log x", state.logX, (on) => (state.logX = on));
  chart.check("log y", state.logY, (on) => (state.logY = on));
  if (count > 1) chart.check("the others in grey", state.others, (on) => (state.others = on));
  chart.check("explosions, too", false, (on) => (state.whole = on));
  chart.button("reset zoom", () => chart.resetZoom());
  selection.told.push(() => chart.update());
  seriesList(chart);
  return chart;
}

function curveOptions(paint, state) {
  const colourOf = groupColours(paint);
  const drawn = [...selection.rows].filter((row) => data.series[row][state.name]).slice(0, MOST_DRAWN);
  const tip = (found) => curveTip(found, state);
  tip.axis = true;
  const series = drawn.map((row) => ({
    id: `trial-${row}`,
    name: labelOf(row),
    type: "line",
    showSymbol: data.series[row][state.name][0][1] < 40,
    symbolSize: 4,
    lineStyle: { width: 1.6 },
    itemStyle: { color: colourOf(row) },
    emphasis: { focus: "none", lineStyle: { width: 2.6 } },
    data: points(...data.series[row][state.name].map(slice), state.logX, state.logY),
  }));
  const all = state.others ? [othersLayer(paint, state), ...series] : series;
  const top = () => (state.others ? othersPoints(state).top : cap(series.flatMap((each) => each.data.map((point) => point[1]))));
  const ends = state.whole || state.logY ? {} : { max: top() };
  return {
    ...base(paint, tip),
    xAxis: across(paint, "updates", state.logX),
    yAxis: upright(paint, word(state.name), state.logY, ends),
    dataZoom: zoom(paint),
    series: all,
  };
}

/** Every trial, those that are ticked drawn over it, as one line with gaps: ten thousand lines cost what one does. */
function othersLayer(paint, state) {
  const { found, many } = othersPoints(state);
  return {
    id: "others", type: "line", data: found, silent: true, showSymbol: false, z: 1, tooltip: { show: false },
    lineStyle: { color: paint.others, width: 0.7, opacity: many > 500 ? 0.35 : 0.6 },
  };
}

const layers = new Map();
/** The layer's points and where its axis ends; made once for each quantity and scale. */
function othersPoints(state) {
  const key = `${state.name} ${state.logX} ${state.logY}`;
  if (!layers.has(key)) {
    const all = rows.filter((row) => data.series[row][state.name]?.[0][1] > 1);
    const total = all.reduce((sum, row) => sum + data.series[row][state.name][0][1], 0);
    const every = Math.max(1, Math.ceil(total / MOST_OTHERS));
    const found = [];
    for (let place = 0; place < all.length; place += every) {
      const [x, y] = data.series[all[place]][state.name].map(slice);
      for (const point of points(x, y, state.logX, state.logY)) found.push(point);
      found.push([NaN, NaN]);
    }
    layers.set(key, { found, many: all.length, top: cap(found.map((point) => point[1])) });
  }
  return layers.get(key);
}

/** The exact values at the pointer, those nearest to it first. */
function curveTip(found, state) {
  const near = found.filter((each) => each.seriesId !== "others" && Number.isFinite(each.value?.[1]));
  const lines = near.slice(0, 12).map((each) => [each.color, `${each.seriesName} @ ${short(each.value[0])}`, exact(each.value[1])]);
  if (near.length > 12) lines.push(["", `and ${near.length - 12} more`, ""]);
  return [["", word(state.name), near.length ? `update ${short(near[0].value[0])}` : ""], ...lines];
}

/** The list of trials beside the curves: find, tick. */
function seriesList(chart) {
  const list = make("div", { class: "ticks", role: "group", "aria-label": "Trials drawn in colour" });
  const said = make("p", { class: "small", "aria-live": "polite" });
  const find = make("input", { type: "search", placeholder: "find a trial", "aria-label": "Find a trial", oninput: fill });
  const tools = make("div", { class: "controls" }, find);
  for (const [label, pick] of [
    ["best 12", () => ranking.slice(0, 12)],
    ["all found", () => matching().slice(0, MOST_DRAWN)],
    ["none", () => []],
  ]) tools.append(make("button", { type: "button", onclick: () => selection.set(pick()) }, label));
  const names = rows.map((row) => labelOf(row).toLowerCase());
  const matching = () => {
    const terms = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    return ranking.filter((row) => terms.every((term) => names[row].includes(term)));
  };
  function fill() {
    const found = matching();
    const colourOf = groupColours(colours());
    list.replaceChildren(...found.slice(0, MOST_LISTED).map((row) => {
      const box = make("input", { type: "checkbox", "data-row": row, onchange: () => selection.toggle(row) });
      box.checked = selection.rows.has(row);
      const dot = make("span", { class: "dot" });
      dot.style.background = box.checked ? colourOf(row) : "transparent";
      return make("label", {}, box, dot, ` ${labelOf(row)}`);
    }));
    const more = found.length > MOST_LISTED ? `; the first ${MOST_LISTED} are listed: find narrows them` : "";
    said.textContent = `${selection.rows.size.toLocaleString("en")} of ${count.toLocaleString("en")} trials in colour${more}`;
  }
  if (count > 1) chart.legend.append(tools, said, list);
  const refill = () => {
    const focus = document.activeElement?.dataset?.row;
    fill();
    if (focus !== undefined) list.querySelector(`[data-row="${Number(focus)}"]`)?.focus();
  };
  selection.told.push(refill);
  watchers.push(fill);
  fill();
}
