// A heat map: the mean of what trials are judged by, over any two settings.

/** Different values of a setting; of each setting once, for there may be thousands. */
const different = new Map();
function distinct(key) {
  if (!different.has(key)) {
    const found = new Set(trained.map((row) => value(key, row)));
    found.delete(null);
    different.set(key, [...found]);
  }
  return different.get(key);
}

/** Different values in order. */
const levels = (key) =>
  distinct(key).slice().sort((a, b) => (typeof a === "number" && typeof b === "number" ? a - b : collator.compare(a, b)));

function heatSection(section) {
  const usable = data.keys.map((key) => `set:${key}`).filter((key) => { const many = distinct(key).length; return many > 1 && many <= 60; });
  if (usable.length < 2) return null;
  const state = { x: usable[0], y: usable[1] };
  const chart = new Chart(section, {
    title: `Heat map of ${word(data.metric)}`,
    about: "The mean over all trials of a cell; × where all of them diverged, a gap where none was trained.",
    height: 400,
    zooms: false,
    build: (paint) => heatOptions(paint, state),
  });
  const options = usable.map((key) => [key, columns.get(key).label]);
  for (const side of ["x", "y"]) chart.choose(side, options, state[side], (key) => (state[side] = key));
  return chart;
}

function heatOptions(paint, state) {
  const [x, y] = [levels(state.x), levels(state.y)];
  const cells = heatCells(state, x, y);
  const known = cells.map((cell) => cell[2]).filter((each) => each !== "-");
  const [bottom, top] = [Math.min(...known), heatTop(known)];
  const tip = ([found]) => [
    ["", `${columns.get(state.x).label}`, exactly(x[found.value[0]])],
    ["", `${columns.get(state.y).label}`, exactly(y[found.value[1]])],
    ["", `mean ${word(data.metric)}`, found.value[2] === "-" ? "diverged" : exact(found.value[2])],
    ["", "trials", `${found.value[3]}${found.value[4] ? `, ${found.value[4]} more diverged` : ""}`],
  ];
  const axisOf = (key, found, more) => ({
    type: "category", data: found.map(shown), name: columns.get(key).label, nameTextStyle: { color: paint.soft },
    axisLabel: { color: paint.soft, hideOverlap: true, width: 110, overflow: "truncate" }, axisLine: { lineStyle: { color: paint.line } }, ...more,
  });
  return {
    ...base(paint, tip),
    grid: { left: 8, right: 20, top: 34, bottom: 78, containLabel: true },
    xAxis: axisOf(state.x, x, { nameLocation: "middle", nameGap: 26 }),
    yAxis: axisOf(state.y, y, { nameTextStyle: { color: paint.soft, align: "left" } }),
    visualMap: {
      seriesIndex: 0,
      min: bottom, max: top, dimension: 2, calculable: true, orient: "horizontal", left: "center", bottom: 0,
      inRange: { color: data.higher ? paint.scale.slice().reverse() : paint.scale }, textStyle: { color: paint.soft }, formatter: brief, itemHeight: 160,
      itemWidth: 12,
    },
    series: [{
      type: "heatmap", data: cells.filter((cell) => cell[2] !== "-").map((cell) => ({ value: cell, label: { color: heatInk(cell[2], bottom, top) } })),
      itemStyle: { borderColor: paint.page, borderWidth: 1 },
      label: { show: x.length <= (innerWidth < 600 ? 5 : 16), fontSize: 11, formatter: ({ value: cell }) => brief(cell[2]) },
    }, {
      type: "scatter", symbol: "rect", symbolSize: 18, itemStyle: { color: "transparent" }, data: cells.filter((cell) => cell[2] === "-"),
      label: { show: true, formatter: "×", fontSize: 16, color: paint.soft },
    }],
  };
}

/** Dark letters on the light end of the scale, white ones on the dark end. */
function heatInk(mean, bottom, top) {
  const place = Math.min(1, (mean - bottom) / (top - bottom || 1));
  const isDark = document.documentElement.dataset.theme === "dark" || (!document.documentElement.dataset.theme && dark.matches);
  return (isDark !== data.higher ? 1 - place : place) > 0.45 ? "#1b1f24" : "#ffffff";
}

/** Bad cells shall not use up the colours: the scale ends where three quarters of the cells do, if that tells more. */
function heatTop(known) {
  const sorted = known.slice().sort((a, b) => a - b);
  return data.higher ? sorted.at(-1) : sorted[Math.floor((sorted.length - 1) * 0.75)] || sorted.at(-1);
}

const exactly = (found) => (typeof found === "number" ? exact(found) : shown(found));

/** [x, y, mean or "-", trials that have a value, trials that diverged]. */
function heatCells(state, x, y) {
  const [placeX, placeY] = [new Map(x.map((each, place) => [each, place])), new Map(y.map((each, place) => [each, place]))];
  const found = new Map();
  for (const row of trained) {
    const at = [placeX.get(value(state.x, row)), placeY.get(value(state.y, row))];
    if (at[0] === undefined || at[1] === undefined) continue;
    const cell = found.get(`${at}`) ?? [...at, 0, 0, 0];
    const metric = metricOf(row);
    if (metric !== null) { cell[2] += metric; cell[3] += 1; } else if (value("status", row) === "diverged") cell[4] += 1;
    found.set(`${at}`, cell);
  }
  return [...found.values()].filter((cell) => cell[3] || cell[4]).map((cell) => [cell[0], cell[1], cell[3] ? cell[2] / cell[3] : "-", cell[3], cell[4]]);
}
