// What trials are judged by, over the LR, for each variant: every seed a point, their mean a line.

const MOST_VARIANTS = 24;

/** Variants but for their LR, best first: [name, rows]. */
function variantsOverLr() {
  const others = data.keys.filter((key) => key !== data.lr);
  const names = data.columns[0].words.length > 1 && !others.length ? ["run"] : others.map((key) => `set:${key}`);
  const found = new Map();
  for (const row of trained) {
    if (typeof value(`set:${data.lr}`, row) !== "number") continue;
    const name = names.map((key) => (key.endsWith(".kind") || key === "run" ? "" : `${columns.get(key).label}=`) + shown(value(key, row))).join(", ");
    if (!found.has(name)) found.set(name, []);
    found.get(name).push(row);
  }
  return [...found].map(([name, own]) => [name || "all trials", own.sort(better)]).sort((a, b) => better(a[1][0], b[1][0]));
}

function responseSection(section) {
  if (!data.lr || !columns.has(`set:${data.lr}`)) return null;
  const all = variantsOverLr();
  const several = all.filter(([, own]) => new Set(own.map((row) => value(`set:${data.lr}`, row))).size > 2);
  if (!several.length) return null;
  const variants = several.slice(0, MOST_VARIANTS);
  const hidden = new Set(variants.map((_, place) => place).filter((place) => place > 7));
  const state = { logY: false, whole: false };
  const more = several.length > variants.length ? ` The best ${variants.length} of ${several.length} variants.` : "";
  const lost = trained.filter((row) => value("status", row) === "diverged").length;
  const chart = new Chart(section, {
    title: `Final ${word(data.metric)} over LR`,
    about: `A point is a trial, a line joins the means at each LR.${lost ? ` ${lost} trials diverged and have no point.` : ""}${more}`,
    build: (paint) => responseOptions(paint, variants, hidden, state),
  });
  chart.check("log y", false, (on) => (state.logY = on));
  chart.check("explosions, too", false, (on) => (state.whole = on));
  chart.button("reset zoom", () => chart.resetZoom());
  ticks(chart, variants.map(([name]) => name), (place) => colours().series[place % 8], hidden);
  return chart;
}

function responseOptions(paint, variants, hidden, state) {
  const tip = (found) => [
    [found[0].color, found[0].seriesName, ""],
    ["", "LR", exact(found[0].value[0])],
    ["", word(data.metric), exact(found[0].value[1])],
    ["", found[0].value[2] === undefined ? "mean" : `trial ${value("trial", found[0].value[2])}, seed ${shown(value("seed", found[0].value[2]))}`, ""],
  ];
  const drawn = variants.flatMap(([name, own], place) => {
    if (hidden.has(place)) return [];
    const color = paint.series[place % 8];
    const found = own.filter((row) => metricOf(row) !== null);
    const dots = found.map((row) => [value(`set:${data.lr}`, row), metricOf(row), row]);
    return [
      { id: `dots-${place}`, name, type: "scatter", symbolSize: 6, itemStyle: { color, opacity: 0.6 }, data: dots },
      { id: `mean-${place}`, name, type: "line", symbolSize: 5, lineStyle: { width: 2 }, itemStyle: { color }, data: means(dots) },
    ];
  });
  const lrs = variants.flatMap(([, own]) => own.map((row) => value(`set:${data.lr}`, row))).filter((lr) => lr > 0);
  const ends = state.whole || state.logY ? {} : { max: cap(drawn.flatMap((each) => each.data.map((point) => point[1]))) };
  const round = (end) => Number(end.toPrecision(2));
  return {
    ...base(paint, tip),
    xAxis: across(paint, "learning rate", true, { min: round(Math.min(...lrs) / 1.2), max: round(Math.max(...lrs) * 1.2) }),
    yAxis: upright(paint, word(data.metric), state.logY, ends),
    dataZoom: zoom(paint),
    series: drawn,
  };
}

function means(dots) {
  const sums = new Map();
  for (const [lr, loss] of dots) {
    const [sum, many] = sums.get(lr) ?? [0, 0];
    sums.set(lr, [sum + loss, many + 1]);
  }
  return [...sums].map(([lr, [sum, many]]) => [lr, sum / many]).sort((a, b) => a[0] - b[0]);
}
