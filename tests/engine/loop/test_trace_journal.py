"""The trace on disk: what was appended piece by piece comes back whole, exactly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lrtool.engine.loop.trace_journal import TraceMark, append_trace, read_trace
from lrtool.engine.trials import Evaluation
from lrtool.runs.journal import Journal


def test_pieces_come_back_as_one(tmp_path: Path) -> None:
    whole = {"train_loss": np.array([1e-300, np.nan, np.inf, -0.0, 0.1]), "seconds": np.arange(5.0)}
    evaluations = [Evaluation(2, {"val_loss": float("nan")}, 0.5), Evaluation(5, {"val_loss": 1 / 3})]
    mark = TraceMark()
    with Journal(tmp_path / "j") as journal:
        for rows, measured in ((0, 0), (2, 1), (2, 1), (5, 2)):
            mark = append_trace(journal, mark, {n: c[:rows] for n, c in whole.items()}, evaluations[:measured])
            assert TraceMark.parse(mark.document()) == mark
    columns, found = read_trace(tmp_path / "j", mark)
    for name, column in whole.items():
        np.testing.assert_array_equal(columns[name], column)
    assert [each.step for each in found] == [2, 5] and np.isnan(found[0].values["val_loss"])
    assert (found[0].seconds, found[1]) == (0.5, evaluations[1])


@pytest.mark.parametrize("document", [{}, {"rows": "x"}, {"rows": 1, "evaluations": None, "bytes": 1, "sha256": ""}])
def test_a_document_that_says_something_else_is_refused(document: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"does not say|invalid literal"):
        TraceMark.parse(document)


def test_another_length_than_was_said_is_refused(tmp_path: Path) -> None:
    with Journal(tmp_path / "j") as journal:
        mark = append_trace(journal, TraceMark(), {"train_loss": np.zeros(3)}, [])
    with pytest.raises(ValueError, match="another length"):
        read_trace(tmp_path / "j", TraceMark(4, 0, mark.mark))
