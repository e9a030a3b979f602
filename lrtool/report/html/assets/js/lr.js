// Loss over LR of each range test and tune, with bounds and the suggestion.

function lrSection(section, found) {
  const hidden = new Set();
  const state = { logY: false, whole: false };
  const paintOf = (place) => seriesPaint(found, place, colours());
  const chart = new Chart(section, {
    title: found.title,
    about: `${markText(found.marks)}${found.lost ? ` ${found.lost} short trainings diverged and have no point.` : ""}`,
    build: (paint) => lrOptions(paint, found, hidden, state),
  });
  chart.check("log y", false, (on) => (state.logY = on));
  chart.check("explosions, too", false, (on) => (state.whole = on));
  chart.button("reset zoom", () => chart.resetZoom());
  ticks(chart, found.series.map((each) => each.name), paintOf, hidden);
  return chart;
}

const markText = (marks) =>
  marks.map((mark) => `${mark.name}: ${short(mark.value)}${betweenText(mark.interval)}`).join("; ") + (marks.length ? "." : "");

function betweenText(ends) {
  if (!ends) return "";
  return ` (${ends[0] === null ? "…" : short(ends[0])} to ${ends[1] === null ? "…" : short(ends[1])})`;
}

function seriesPaint(found, place, paint) {
  const each = found.series[place];
  if (each.name.startsWith("ramp, ")) return paint.others;
  return paint.series[found.series.slice(0, place).filter((other) => !other.name.startsWith("ramp, ")).length % 8];
}

function lrOptions(paint, found, hidden, state) {
  const first = found.marks.find((mark) => mark.name === "suggested");
  const tip = (hovered) => [
    ["", hovered[0].seriesName, ""],
    ["", "LR", exact(hovered[0].value[0])],
    ["", "loss", exact(hovered[0].value[1])],
  ];
  const series = found.series.map((each, place) => ({
    id: `lr-${place}`, name: each.name, type: each.kind === "line" ? "line" : "scatter",
    symbolSize: each.kind === "line" ? 5 : each.name.startsWith("ramp, ") ? 4 : 8,
    showSymbol: false, z: each.kind === "line" ? 4 : 3, itemStyle: { color: seriesPaint(found, place, paint), opacity: 0.85 },
    lineStyle: { width: 2.4 },
    data: hidden.has(place) ? [] : points(...each.at.map(slice), true, state.logY).filter((point) => !Number.isNaN(point[1])),
  }));
  const marks = {
    id: "marks", type: "line", data: [], markLine: markLines(paint, found.marks), markArea: first && area(paint, first, found),
  };
  const [low, high] = seen(found);
  const limits = state.whole || low === null ? {} : { min: state.logY ? undefined : low, max: high };
  return {
    ...base(paint, tip),
    grid: { left: 8, right: 20, top: 64, bottom: 58, containLabel: true },
    xAxis: across(paint, "learning rate", true, lrSpan(found)),
    yAxis: upright(paint, "loss", state.logY, limits),
    dataZoom: zoom(paint),
    series: [...series, marks],
  };
}

/** From the least LR to the greatest that anything is at. */
function lrSpan(found) {
  const all = found.series.flatMap((each) => { const lr = slice(each.at[0]); return [Math.min(...lr), Math.max(...lr)]; });
  const round = (end) => Number(end.toPrecision(2));
  return { min: round(Math.min(...all) / 1.2), max: round(Math.max(...all) * 1.2) };
}

/** What lies between the lowest loss and a little above where ramps begin: an explosion leaves at the top. */
function seen(found) {
  const finite = found.series.flatMap((each) => Array.from(slice(each.at[1])).filter(Number.isFinite)).sort((a, b) => a - b);
  const begun = found.series.filter((each) => each.name.startsWith("ramp, ")).flatMap((each) => Array.from(slice(each.at[1]).subarray(0, 5)));
  if (!finite.length || !begun.length) return [null, null];
  const start = begun.sort((a, b) => a - b)[begun.length >> 1];
  const room = Math.max(start - finite[0], Math.abs(start) * 0.05);
  return [Math.max(0, Number((finite[0] - 0.05 * room).toPrecision(2))), Number((start + 0.5 * room).toPrecision(2))];
}

function markLines(paint, marks) {
  const styles = { suggested: ["solid", 2.4], "stability limit": ["dotted", 1.6] };
  return {
    symbol: "none",
    data: marks.map((mark, place) => ({
      xAxis: mark.value,
      name: mark.name,
      lineStyle: {
        type: (styles[mark.name] ?? ["dashed", 1.2])[0], width: (styles[mark.name] ?? ["dashed", 1.2])[1],
        color: mark.name === "suggested" ? paint.good : paint.soft,
      },
      label: {
        formatter: `${mark.name} ${brief(mark.value)}`, color: mark.name === "suggested" ? paint.good : paint.soft,
        fontWeight: mark.name === "suggested" ? "bold" : "normal", distance: [0, 2 + 13 * (place % 5)], fontSize: 11,
      },
    })),
  };
}

function area(paint, mark, found) {
  if (!mark.interval) return undefined;
  const span = lrSpan(found);
  const [low, high] = [mark.interval[0] ?? span.min, mark.interval[1] ?? span.max];
  return {
    silent: true, itemStyle: { color: paint.good, opacity: 0.12 },
    data: [[{ xAxis: Math.max(low, span.min) }, { xAxis: Math.min(high, span.max) }]],
  };
}
