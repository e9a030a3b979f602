// Puts the page together: charts first that are seen first; the page says when it can be used.

const charts = document.getElementById("charts");
const addSection = (id, title) => {
  const section = make("section", { id }, make("h2", {}, title));
  charts.append(section);
  return section;
};

if (data.lrCharts.length) {
  const section = addSection("lr", "Loss over learning rate");
  for (const found of data.lrCharts) lrSection(section, found);
}
if (count) {
  selection.rows = new Set(firstSelection());
  const response = addSection("response", "Learning rates compared");
  if (!responseSection(response)) response.remove();
  if (data.curves.length) curvesSection(addSection("curves", "Training curves"));
  const settings = addSection("settings", "Settings");
  const drawn = [heatSection(settings), parallelSection(settings)];
  if (!drawn.some(Boolean)) settings.remove();
  new TrialsTable(addSection("trials", "Trials"));
}
for (const table of document.querySelectorAll("table.sortable")) sortable(table);

// Two frames: what is visible has been drawn.
requestAnimationFrame(() => requestAnimationFrame(() => {
  document.documentElement.dataset.ready = String(Math.round(performance.now()));
}));
