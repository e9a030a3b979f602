"""First suggestions on tables as they are published: one command each, nothing cleaned by hand.

Ten tables of the shapes of well-known public files, made here: what they lack and how they are written is theirs, the
numbers are not. Each is given to `lrtool range-test` as it is, with a config of six lines. It prints what came of it,
and exits with 1 where one fails or gets no suggestion.

    python tests/benchmarks/tables.py [--only NAME]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

ROWS = 600
Rows = list[list[object]]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=TABLES, help="this table alone")
    wanted = parser.parse_args().only
    failed = 0
    print(f"{'table':14} {'rows':>5}  {'seconds':>7}  {'suggested LR':>12}  what it is")
    with tempfile.TemporaryDirectory() as folder:
        for name in [wanted] if wanted else TABLES:
            table, encoding, target = TABLES[name](np.random.default_rng(len(name)))
            words = (TABLES[name].__doc__ or "").rstrip(".")
            (Path(folder) / f"{name}.csv").write_bytes(table.encode(encoding))
            seconds, found = suggestion(Path(folder), name, target)
            good = isinstance(found, float)
            failed += not good
            shown = f"{found:.3g}" if isinstance(found, float) else "none"
            print(f"{name:14} {table.count(chr(10)):5}  {seconds:7.1f}  {shown:>12}  {words}", flush=True)
            if not good:
                print(f"    {found}")
    return 1 if failed else 0


def suggestion(folder: Path, name: str, target: object) -> tuple[float, float | str]:
    """Seconds of one command, and the LR it suggests, or what it said instead."""
    config = folder / f"{name}.yaml"
    config.write_text(
        f"name: {name}\nmodel: {{kind: mlp, hidden: [32]}}\n"
        f"data: {{kind: csv, path: {name}.csv, target: {json.dumps(target)}}}\n"
        "optimizer: {kind: adamw, lr: 0.001}\nschedule: cosine\ntrain: {duration: 10ep}\n"
    )
    began = time.perf_counter()
    command = [sys.executable, "-m", "lrtool", "range-test", str(config), "--json", "--output", str(folder / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - began
    try:
        found = json.loads(done.stdout)["suggested_lr"]
    except (ValueError, KeyError):
        return seconds, (done.stderr.strip().splitlines() or ["nothing was said"])[-1]
    return seconds, float(found) if found is not None else "no suggestion"


def written(header: list[str] | None, rows: Rows, sign: str = ",", end: str = "\n") -> str:
    """A table as text; cells with the delimiter in them are quoted."""
    lines = ([header] if header else []) + [[str(cell) for cell in row] for row in rows]
    quoted = [[f'"{cell}"' if sign in cell else cell for cell in line] for line in lines]
    return "".join(sign.join(line) + end for line in quoted)


Made = tuple[str, str, object]


def titanic(rng: np.random.Generator) -> Made:
    """Passengers: an index, names, missing ages and cabins, two classes 0 and 1."""
    rows: Rows = []
    for n in range(ROWS):
        sex, rank = rng.choice(["male", "female"]), int(rng.integers(1, 4))
        survived = int(rng.random() < (0.75 if sex == "female" else 0.2) + 0.05 * (2 - rank))
        age = "" if rng.random() < 0.2 else round(float(rng.uniform(1, 75)), 1)
        cabin = f"C{n % 90}" if rng.random() < 0.2 else ""
        fare, port = round(float(90 / rank + rng.exponential(9)), 4), rng.choice(["S", "C", "Q", ""])
        rows.append([n + 1, survived, rank, f"Person, Mr. {n}", sex, age, int(rng.integers(0, 4)), fare, cabin, port])
    names = ["PassengerId", "Survived", "Pclass", "Name", "Sex", "Age", "SibSp", "Fare", "Cabin", "Embarked"]
    return written(names, rows), "utf-8", "Survived"


def wine(rng: np.random.Generator) -> Made:
    """Wine: semicolons, names with spaces, a quality of six whole numbers."""
    x = rng.normal(size=(ROWS, 8))
    quality = np.clip(np.round(5.6 + 0.6 * x[:, 0] - 0.4 * x[:, 1]), 3, 8).astype(int)
    rows: Rows = [[*np.round(7 + each, 3), int(q)] for each, q in zip(x, quality, strict=True)]
    names = ['"fixed acidity"', '"volatile acidity"', *[f'"part {n}"' for n in range(6)], '"quality"']
    return written(names, rows, ";"), "utf-8", "quality"


def abalone(rng: np.random.Generator) -> Made:
    """Shells: no header, words in the first column, ages of 25 whole numbers in the last."""
    size = rng.uniform(0.1, 0.8, ROWS)
    rows: Rows = [
        [rng.choice(["M", "F", "I"]), round(s, 3), round(s * 0.8, 3), round(s**3, 4), int(3 + 25 * s + rng.normal())]
        for s in size
    ]
    return written(None, rows), "utf-8", -1


def iris(rng: np.random.Generator) -> Made:
    """Flowers: no header, three classes as words, an empty line at the end."""
    kinds = ["Iris-setosa", "Iris-versicolor", "Iris-virginica"]
    rows: Rows = [[*np.round(rng.normal(n % 3 + 3, 0.4, 4), 1), kinds[n % 3]] for n in range(150)]
    return written(None, rows) + "\n", "utf-8", -1


def bikes(rng: np.random.Generator) -> Made:
    """Rented bikes: latin-1, dates as day/month/year, °C in a name, yes and no."""
    rows: Rows = []
    for n in range(ROWS):
        day, hour = n // 24 + 1, n % 24
        warm = round(float(10 + 8 * np.sin(hour / 4) + rng.normal()), 1)
        holiday = "No Holiday" if n % 50 else "Holiday"
        count = int(max(0, 200 + 30 * warm + 40 * rng.normal()))
        rows.append(
            [f"{day % 28 + 1:02}/{day // 28 + 1:02}/2017", count, hour, warm, holiday, "Yes" if n % 9 else "No"]
        )
    names = ["Date", "Rented Bike Count", "Hour", "Temperature(°C)", "Holiday", "Functioning Day"]
    return written(names, rows), "latin-1", "Rented Bike Count"


def air(rng: np.random.Generator) -> Made:
    """Air quality: semicolons, decimal commas, times with points, two empty columns and empty lines at the end."""
    rows: Rows = []
    for n in range(ROWS):
        a, b = rng.normal(2, 0.5), rng.normal(900, 90)
        value = f"{a + b / 900:.2f}".replace(".", ",")
        date, hour = f"{n // 24 % 28 + 1:02}/03/2004", f"{n % 24:02}.00.00"
        rows.append([date, hour, f"{a:.1f}".replace(".", ","), int(b), "" if n % 17 == 0 else value, "", ""])
    text = written(["Date", "Time", "CO(GT)", "PT08.S1(CO)", "C6H6(GT)", "", ""], rows, ";", "\r\n")
    return text + ";;;;;;\r\n" * 20, "utf-8", "C6H6(GT)"


def adults(rng: np.random.Generator) -> Made:
    """Incomes: no header, spaces after commas, '?' for missing, forty countries, two classes as words."""
    rows: Rows = []
    for _ in range(ROWS):
        age, years = int(rng.integers(17, 80)), int(rng.integers(1, 16))
        rich = rng.random() < 1 / (1 + np.exp(-(years - 9 + (age - 40) / 9)))
        work = rng.choice(["Private", "State-gov", "?"])
        rows.append([age, work, years, f"Country-{int(rng.integers(0, 40))}", 0, ">50K" if rich else "<=50K"])
    return written(None, rows).replace(",", ", "), "utf-8", -1


def houses(rng: np.random.Generator) -> Made:
    """Houses: 'None' and NA, a constant column, years, prices in dollars with thousands marks."""
    rows: Rows = []
    for n in range(ROWS):
        area, year = int(rng.integers(500, 4000)), int(rng.integers(1900, 2010))
        price = 50 * area + 900 * (year - 1900) + 9000 * rng.normal()
        alley, front = rng.choice(["None", "Grvl", "Pave"]), "NA" if n % 5 == 0 else int(rng.integers(20, 120))
        rows.append([n + 1, area, year, alley, front, "AllPub", f"${price:,.2f}"])
    names = ["Id", "GrLivArea", "YearBuilt", "Alley", "LotFrontage", "Utilities", "SalePrice"]
    return written(names, rows), "utf-8", "SalePrice"


def reviews(rng: np.random.Generator) -> Made:
    """Reviews: a byte order mark, free text of many words, an unnamed index, True and False, stars from 1 to 5."""
    rows: Rows = []
    for n in range(ROWS):
        stars, votes = int(rng.integers(1, 6)), int(rng.poisson(3))
        text = f"I bought number {n}, and it is {'good' if stars > 3 else 'bad'}"
        price = round(float(stars * 3 + rng.normal()), 2)
        rows.append([n, f"user{n % 211}", text, votes, price, stars > 3, stars])
    return written(["", "user", "text", "votes", "price", "verified", "stars"], rows), "utf-8-sig", "stars"


def turbines(rng: np.random.Generator) -> Made:
    """Turbines: tabs, UTF-16, ISO times, numbers in scientific notation, missing as 'nan', a class −1 or 1."""
    rows: Rows = []
    for n in range(ROWS):
        heat, load = rng.normal(0, 1), rng.uniform(0, 1)
        time_of = f"2023-{n % 12 + 1:02}-{n % 28 + 1:02}T{n % 24:02}:00:00"
        label = 1 if heat + load + 0.3 * rng.normal() > 0.5 else -1
        rows.append([time_of, f"{heat * 1e-6:.3e}", "nan" if n % 11 == 0 else f"{load:.3f}", label])
    return written(["time", "strain", "load", "failure"], rows, "\t"), "utf-16", "failure"


TABLES: dict[str, Callable[[np.random.Generator], Made]] = {
    each.__name__: each
    for each in (titanic, wine, abalone, iris, bikes, air, adults, houses, reviews, turbines)
}  # fmt: skip

if __name__ == "__main__":
    sys.exit(main())
