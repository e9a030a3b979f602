// One chart of the page: drawn when it is first seen, again when colours or size change, moved by mouse and keys.

class Chart {
  /** `build(colours)` gives the chart's options; `height` in pixels; `zooms`: whether it has axes to zoom. */
  constructor(section, { title, about, height = 380, zooms = true, build }) {
    this.build = build;
    this.zooms = zooms;
    this.controls = make("div", { class: "controls" });
    this.canvas = make("div", { class: "canvas", role: "img", tabindex: "0", "aria-label": `${title}. ${about}` });
    this.canvas.style.height = `${height}px`;
    this.legend = make("div", { class: "legend" });
    this.figure = make(
      "figure",
      {},
      make("h3", {}, title),
      this.controls,
      this.canvas,
      this.legend,
      make("figcaption", {}, about),
    );
    section.append(this.figure);
    this.canvas.addEventListener("keydown", (event) => this.key(event));
    watchers.push(() => this.chart && this.draw());
    printers.push(() => this.draw());
    new IntersectionObserver((seen, observer) => {
      if (!seen.some((each) => each.isIntersecting)) return;
      observer.disconnect();
      this.draw();
    }, { rootMargin: "300px" }).observe(this.canvas);
  }

  draw() {
    if (!this.chart) {
      this.chart = echarts.init(this.canvas, null, { renderer: "canvas" });
      new ResizeObserver(() => this.chart.resize()).observe(this.canvas);
      this.chart.on("datazoom", () => (this.zoomed = this.chart.getOption().dataZoom));
    }
    const options = this.build(colours());
    if (this.zoomed && options.dataZoom) {
      options.dataZoom = options.dataZoom.map((each, place) => ({
        ...each, start: this.zoomed[place]?.start, end: this.zoomed[place]?.end,
      }));
    }
    this.chart.setOption(options, { notMerge: true });
  }

  /** Draw again what is drawn already; what is not yet seen waits. */
  update() {
    if (this.chart) this.draw();
  }

  resetZoom() {
    this.zoomed = null;
    this.point = null;
    this.update();
  }

  /** + and − zoom, arrows move, 0 shows all again. */
  key(event) {
    if (!this.zooms || !this.chart) return;
    const zoom = this.chart.getOption().dataZoom?.[0];
    if (!zoom) return;
    const { start, end } = zoom;
    const [middle, width] = [(start + end) / 2, end - start];
    const by = { "+": 0.5, "=": 0.5, "-": 2 }[event.key];
    const move = { ArrowLeft: -0.1, ArrowRight: 0.1 }[event.key];
    if (event.key === "0") this.resetZoom();
    else if (by) this.zoomTo(middle - (width * by) / 2, middle + (width * by) / 2);
    else if (move) this.zoomTo(start + move * width, end + move * width);
    else return;
    event.preventDefault();
  }

  zoomTo(start, end) {
    const width = Math.min(end - start, 100);
    const from = Math.max(0, Math.min(start, 100 - width));
    this.chart.dispatchAction({ type: "dataZoom", dataZoomIndex: 0, start: from, end: from + width });
  }

  check(label, on, change) {
    const box = make("input", { type: "checkbox", onchange: () => { change(box.checked); this.resetZoom(); } });
    box.checked = on;
    this.controls.append(make("label", {}, box, ` ${label}`));
  }

  choose(label, options, chosen, change) {
    const list = make("select", { onchange: () => { change(list.value); this.resetZoom(); } });
    for (const [name, text] of options) list.append(make("option", { value: name, selected: name === chosen }, text));
    this.controls.append(make("label", {}, `${label} `, list));
    return list;
  }

  button(label, press) {
    this.controls.append(make("button", { type: "button", onclick: press }, label));
  }
}

/** What all charts share: no movement, our colours, a box at the pointer that holds text only. */
function base(paint, tip) {
  return {
    animation: false,
    backgroundColor: "transparent",
    textStyle: { color: paint.ink, fontFamily: "system-ui, sans-serif" },
    grid: { left: 8, right: 20, top: 34, bottom: 58, containLabel: true },
    tooltip: {
      confine: true,
      backgroundColor: paint.page,
      borderColor: paint.line,
      textStyle: { color: paint.ink, fontSize: 12 },
      formatter: (found) => tipBox(tip(Array.isArray(found) ? found : [found])),
      ...(tip.axis ? { trigger: "axis", axisPointer: { type: "cross", snap: true, label: { show: false } } } : {}),
    },
  };
}

/** Lines of a tooltip: [colour or "", text, text]. */
function tipBox(lines) {
  return make("table", { class: "tip" }, ...lines.map(([colour, name, text]) => {
    const dot = make("span", { class: "dot" });
    if (colour) dot.style.background = colour;
    return make("tr", {}, make("td", {}, colour ? dot : "", ` ${name}`), make("td", { class: "number" }, text ?? ""));
  }));
}

function axis(paint, name, log, more = {}) {
  return {
    type: log ? "log" : "value",
    name,
    nameLocation: "middle",
    scale: true,
    nameTextStyle: { color: paint.soft },
    axisLabel: { color: paint.soft, formatter: short, hideOverlap: true },
    axisLine: { lineStyle: { color: paint.line } },
    splitLine: { lineStyle: { color: paint.line, opacity: 0.5 } },
    ...more,
  };
}
const across = (paint, name, log, more) => axis(paint, name, log, { nameGap: 26, ...more });
const upright = (paint, name, log, more) =>
  axis(paint, name, log, { nameLocation: "end", nameTextStyle: { color: paint.soft, align: "left" }, ...more });

/** Zoom along x by wheel, drag and a slider below; along y with Shift. */
const zoom = (paint) => [
  { type: "inside", xAxisIndex: 0, filterMode: "none" },
  { type: "inside", yAxisIndex: 0, filterMode: "none", zoomOnMouseWheel: "shift", moveOnMouseMove: false },
  {
    type: "slider", xAxisIndex: 0, filterMode: "none", height: 16, bottom: 6, showDetail: false, showDataShadow: false, brushSelect: false,
    borderColor: paint.line, fillerColor: `${paint.series[0]}22`, textStyle: { color: paint.soft },
  },
];

/** Points of a curve; on a log axis those at or below 0 have no place. */
function points(x, y, logX, logY) {
  const found = [];
  for (let place = 0; place < x.length; place++) {
    const there = Number.isFinite(y[place]) && (!logX || x[place] > 0) && (!logY || y[place] > 0);
    found.push(there ? [x[place], y[place]] : [x[place], NaN]);
  }
  return found;
}

/** Boxes to tick, one a series; `names` and `paint(place)`; `hidden` is a set of places. */
function ticks(chart, names, paint, hidden) {
  const boxes = names.map((name, place) => {
    const box = make("input", { type: "checkbox" });
    box.checked = !hidden.has(place);
    box.addEventListener("change", () => {
      if (box.checked) hidden.delete(place);
      else hidden.add(place);
      chart.update();
    });
    const dot = make("span", { class: "dot" });
    watchers.push(() => (dot.style.background = paint(place)));
    dot.style.background = paint(place);
    return make("label", {}, box, dot, ` ${name}`);
  });
  chart.legend.append(make("div", { class: "ticks", role: "group", "aria-label": "Series shown" }, ...boxes));
}
