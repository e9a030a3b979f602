// The page's data: numbers as they are on disk, and how they are written.

const data = JSON.parse(document.getElementById("data").textContent);

/** All curves' numbers, exact, one behind the other. */
const floats = (() => {
  const raw = atob(data.floats);
  const bytes = new Uint8Array(raw.length);
  for (let place = 0; place < raw.length; place++) bytes[place] = raw.charCodeAt(place);
  return new Float64Array(bytes.buffer);
})();

/** An array of the pool: where it begins, and its length. */
const slice = ([start, length]) => floats.subarray(start, start + length);

/** Columns of the table of trials by key; `get(row)` gives a number, a text, or null. */
const columns = new Map(
  data.columns.map((each) => [
    each.key,
    {
      key: each.key,
      label: each.label,
      numeric: Boolean(each.numbers),
      get: each.numbers ? (row) => each.numbers[row] : (row) => each.words[each.at[row]],
    },
  ]),
);
const count = data.series.length;
const rows = Array.from({ length: count }, (_, row) => row);
const value = (key, row) => columns.get(key)?.get(row) ?? null;
const metricOf = (row) => (value("status", row) === "diverged" ? null : value(data.metric, row));

/** Trials of trainings and sweeps; those of range tests and tunes are shorter, and have charts of their own. */
const trained = rows.filter((row) => value("kind", row) === "training");

/** Texts in order, numbers in them by their size; one for all, for making one is slow. */
const collator = new Intl.Collator("en", { numeric: true });

/** Whether trial a is better than b; those without a value come last. */
function better(a, b) {
  const [left, right] = [metricOf(a), metricOf(b)];
  if (left === null || right === null) return (left === null) - (right === null);
  return data.higher ? right - left : left - right;
}

/** A number for people: four digits or so; `exact` has all. */
function short(number) {
  if (number === null || number === undefined || Number.isNaN(number)) return "—";
  if (!Number.isFinite(number)) return number > 0 ? "∞" : "−∞";
  if (Number.isInteger(number) && Math.abs(number) < 1e7) return number.toLocaleString("en");
  const size = Math.abs(number);
  return size !== 0 && (size < 1e-3 || size >= 1e6)
    ? number.toExponential(3).replace(/\.?0+e/, "e").replace("e+", "e")
    : String(Number(number.toPrecision(5)));
}
/** Three digits, where there is little room. */
const brief = (number) => (typeof number === "number" ? short(Number(number.toPrecision(3))) : short(number));
const shortened = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);
const exact = (number) => (number === null || Number.isNaN(number) ? "not measured" : String(number));
const shown = (found) => (typeof found === "number" ? short(found) : (found ?? "—"));

const word = (name) => data.words[name] ?? name;
const labelOf = (row) => {
  const seed = value("seed", row);
  const name = data.columns[0].words.length > 1 ? `${value("run", row)}: ${value("group", row)}` : value("group", row);
  const lr = value("kind", row) === "short training" ? `, LR ${brief(value(`set:${data.lr}`, row))}` : "";
  return `${name}${lr}${seed === null ? "" : `, seed ${seed}`} (trial ${value("trial", row)})`;
};

/** Trials from best to worst, those of trainings and sweeps first. */
const ranking = (() => {
  const main = new Set(trained);
  return [...trained, ...rows.filter((row) => !main.has(row))].sort((a, b) => main.has(b) - main.has(a) || better(a, b));
})();

/** Where an axis ends so that a few explosions do not flatten all else; nothing where there are none. */
function cap(values) {
  const sorted = values.filter(Number.isFinite).sort((a, b) => a - b);
  if (sorted.length < 5) return undefined;
  const most = sorted[Math.floor((sorted.length - 1) * 0.95)];
  return most > 0 && sorted.at(-1) > 3 * most ? Number((1.15 * most).toPrecision(2)) : undefined;
}

/** An element with attributes and children; texts become text, never HTML. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, found] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), found);
    else if (found === true) element.setAttribute(name, "");
    else if (found !== false && found !== null) element.setAttribute(name, found);
  }
  element.append(...children);
  return element;
}
