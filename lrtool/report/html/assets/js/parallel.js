// Parallel coordinates: every trial a line through its settings to what it came to.

const MOST_LINES = 3000;

function parallelSection(section) {
  const keys = data.keys.map((key) => `set:${key}`).filter((key) => distinct(key).length > 1).slice(0, innerWidth < 600 ? 3 : 7);
  const able = trained.filter((row) => metricOf(row) !== null);
  if (!keys.length || able.length < 3) return null;
  const step = Math.max(1, Math.ceil(able.length / MOST_LINES));
  const ranked = able.sort(better).filter((_, place) => place % step === 0);
  const about = `Drag along an axis to keep only the lines through there; double-click it to keep all.${step > 1 ? ` One in ${step} trials is drawn, best and worst alike.` : ""}`;
  return new Chart(section, {
    title: "Parallel coordinates",
    about,
    height: 380,
    zooms: false,
    build: (paint) => parallelOptions(paint, [...keys, data.metric], ranked),
  });
}

function parallelOptions(paint, keys, ranked) {
  const narrow = innerWidth < 600;
  const values = ranked.map((row) => [...keys.map((key) => value(key, row)), row]);
  const known = ranked.map(metricOf).sort((a, b) => a - b);
  const tip = ([found]) => {
    const row = found.value.at(-1);
    return [["", labelOf(row), ""], ...keys.map((key) => ["", columns.get(key).label, exactly(value(key, row))])];
  };
  return {
    ...base(paint, tip),
    parallel: { left: narrow ? 30 : 60, right: narrow ? 40 : 80, top: 50, bottom: 60 },
    parallelAxis: keys.map((key, dim) => parallelAxis(paint, key, dim, narrow, keys.length)),
    visualMap: {
      show: true, dimension: keys.length - 1, min: known[0], max: data.higher ? known.at(-1) : known[Math.floor((known.length - 1) * 0.75)],
      calculable: false, orient: "horizontal", left: "center", bottom: 0, itemHeight: 160, itemWidth: 12,
      inRange: { color: data.higher ? paint.scale.slice().reverse() : paint.scale }, textStyle: { color: paint.soft }, formatter: brief, text: [brief(data.higher ? known.at(-1) : known[Math.floor((known.length - 1) * 0.75)]), brief(known[0])],
    },
    series: [{ type: "parallel", data: values, smooth: false, progressive: 500, lineStyle: { width: 1.2, opacity: ranked.length > 300 ? 0.25 : 0.6 }, inactiveOpacity: 0.02, emphasis: { lineStyle: { width: 3, opacity: 1 } } }],
  };
}

function parallelAxis(paint, key, dim, narrow, many) {
  const column = columns.get(key);
  const found = key === data.metric ? trained.map(metricOf).filter((each) => each !== null) : levels(key);
  const numeric = column.numeric || key === data.metric;
  const log = numeric && Math.min(...found.slice(0, 5000)) > 0 && Math.max(...found.slice(0, 5000)) > 20 * Math.min(...found.slice(0, 5000));
  const name = key === data.metric ? word(key) : column.label;
  const room = narrow ? 16 : 26;
  return {
    dim, name: name.length > room && many > 3 ? `…${name.slice(1 - room)}` : name, nameTextStyle: { color: paint.soft, fontSize: 11 },
    ...(numeric ? { type: log ? "log" : "value", scale: true } : { type: "category", data: found }),
    z: 20, axisLabel: { color: paint.ink, textBorderColor: paint.page, textBorderWidth: 3, formatter: (each) => (typeof each === "number" ? brief(each) : shortened(shown(each), narrow ? 12 : 18)) }, axisLine: { lineStyle: { color: paint.soft } },
    areaSelectStyle: { borderColor: paint.good, color: paint.good, opacity: 0.25, width: 16 },
  };
}
