// Light and dark: as the system has it, or as chosen; charts are told.

const watchers = [];
const dark = matchMedia("(prefers-color-scheme: dark)");
const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** The colours that charts are drawn with. */
function colours() {
  return {
    ink: style("--ink"),
    soft: style("--soft"),
    line: style("--line"),
    page: style("--panel"),
    others: style("--others"),
    good: style("--good"),
    series: Array.from({ length: 8 }, (_, place) => style(`--series-${place}`)),
    scale: ["--scale-0", "--scale-1", "--scale-2", "--scale-3"].map(style),
  };
}

function setTheme(wanted) {
  const root = document.documentElement;
  if (wanted === "auto") delete root.dataset.theme;
  else root.dataset.theme = wanted;
  const button = document.getElementById("theme");
  button.querySelector("span").textContent = wanted;
  button.setAttribute("aria-label", `Colours: ${wanted === "auto" ? "as the system has them" : wanted}; press to change`);
  for (const watcher of watchers) watcher();
}

let theme = "auto";
document.getElementById("theme").addEventListener("click", () => {
  theme = { auto: "dark", dark: "light", light: "auto" }[theme];
  setTheme(theme);
});
dark.addEventListener("change", () => setTheme(theme));

// Paper is white, and shows every chart, also those that were never scrolled to.
const printers = [];
addEventListener("beforeprint", () => {
  setTheme("light");
  for (const print of printers) print(true);
});
addEventListener("afterprint", () => {
  for (const print of printers) print(false);
  setTheme(theme);
});
