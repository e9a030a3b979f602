"""The verdict's table at the widths that terminals have: names stay, numbers are whole, columns give way."""

import re

import numpy as np
import pytest

from lrtool.analysis.statistics.comparison import compare
from lrtool.comparison.outcomes import Outcome
from lrtool.comparison.result import ComparisonResult
from lrtool.comparison.variants import Variant
from lrtool.report.terminal.compare import columns_of, table_text

#: Sets of variants by what is hard about them: names, with the settings that they stand at.
NAMES = {
    "short names": {"cosine": {}, "constant": {}},
    "names with their LRs": {"cosine": {"optimizer.lr": 0.01357}, "one_cycle": {"optimizer.lr": 0.01832}},
    "one letter": {"a": {}, "b": {}, "c": {}},
    "long names": {f"cosine, warmup={part}%, final=1e-05, model.hidden=[128, 128]": {} for part in (5, 20)},
    "names that differ only at their ends": {f"{'wide ' * 12}{end}": {} for end in "xyz"},
    "much that was chosen": {
        name: {"optimizer.lr": 0.01357, "optimizer.momentum": 0.95, "schedule.warmup": 0.05, "train.clip_norm": 1.5}
        for name in ("adam", "sgd")
    },
    "names in other scripts": {"学习率": {}, "größer": {}},
}
LOSSES = ([0.01357, 0.01361, 0.0135, 0.01355, 0.01359, 0.0136], [0.01832, 0.0184, 0.01829, 0.0183, 0.01835, 0.01837])


def made(names, losses=LOSSES, target=0.02):
    tables = {}
    for place, (name, chosen) in enumerate(names.items()):
        outcomes = {}
        for seed, loss in enumerate(losses[place % 2]):
            curve = {"step": [10.0, 123456.0], "seconds": [0.1, 4.0], "val_loss": [1.0, loss]}
            curve = {key: np.array(column) for key, column in curve.items()}
            outcomes[seed] = Outcome(name, seed, False, {"val_loss": loss + place * 1e-6}, curve, 1.0, {})
        tables[name] = Variant(name, outcomes, chosen, 5)
    result = compare({name: variant.values("val_loss") for name, variant in tables.items()})
    return ComparisonResult("val_loss", result, tuple(tables[each.name] for each in result.standings), target)


def numbers(text):
    return set(re.findall(r"[-+<>]?\d[\d,.e+-]*%?", text))


@pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
@pytest.mark.parametrize("names", NAMES.values(), ids=NAMES)
def test_at_any_width_names_are_kept_and_numbers_whole(names, width):
    result = made(names)
    lines = table_text(result, width).splitlines()
    rows, whole = lines[1 : len(names) + 1], table_text(result).splitlines()
    assert all(columns_of(line) <= width for line in lines), max(lines, key=len)
    # Each row has a name of its own, which begins as the whole one does.
    heads = [row.split("  ")[0] for row in rows]
    assert len(set(heads)) == len(names)
    for head, variant in zip(heads, result.variants, strict=True):
        assert variant.name.startswith(head.split("…")[0].split(" (")[0].strip())
    # Every number of a narrow table stands in the wide one: none was cut.
    inside = [row[len(head) :] for head, row in zip(heads, rows, strict=True)]
    assert set().union(*map(numbers, inside)) <= set().union(*map(numbers, whole))
    text = "\n".join(lines)
    assert ("0.01357" in text and "0.01834" in text and "p (Holm)" in lines[0]) or width == 60
    assert ("not shown" in text) == (lines[0].split() != whole[0].split())


def test_what_gives_way_is_named_and_comes_back_with_the_room():
    result = made(NAMES["names with their LRs"])
    heads = ["its 95% interval", "effect", "P(better)", "steps to 0.02", "time"]
    at = {width: table_text(result, width) for width in (80, 100, 120, 200)}
    assert all(head in at[80].splitlines()[-2:][0] + at[80].splitlines()[-1] for head in heads)
    shown = [len(at[width].splitlines()[0]) for width in at]
    assert shown == sorted(shown) and len(set(shown)) == 4
    assert at[200] == table_text(result) and "not shown" not in at[200]
    assert "cosine (lr 0.0136)" in at[80] and "one_cycle (lr 0.0183)" in at[80]


def test_even_in_a_very_narrow_terminal_no_number_is_cut():
    lines = table_text(made(NAMES["long names"]), 30).splitlines()
    assert "0.01357" in lines[1] and "0.01834" in lines[2] and lines[1].split("…")[0] == lines[2].split("…")[0]
