import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from lrtool.errors import OutputError
from lrtool.report.plots.curves import TrainingPlot, draw_training
from lrtool.report.plots.schedule import SchedulePlot, draw_schedule, outline
from lrtool.report.plots.style import number, render, save, shortened


def table(steps=60, per_epoch=10):
    t = np.arange(steps, dtype=float)
    noise = np.random.default_rng(0).standard_normal(steps)
    val = np.full(steps, np.nan)
    val[per_epoch - 1 :: per_epoch] = 0.1 + (t[per_epoch - 1 :: per_epoch] / steps - 0.7) ** 2
    return {
        "trial": np.zeros(steps),
        "step": t,
        "epoch": t // per_epoch,
        "lr": 0.1 * (1 - t / steps),
        "train_loss": 2 * np.exp(-t / 20) * np.exp(0.1 * noise),
        "val_loss": val,
        "val_accuracy": 1 - val,
        "momentum": np.full(steps, 0.9),
        "grad_norm": np.full(steps, np.nan),
        "seconds": t,
    }


def labels(figure):
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def test_a_training_plot_has_a_panel_for_all_that_was_measured():
    plot = TrainingPlot.of(table(), "digits")
    figure = draw_training(plot)
    assert [axes.get_ylabel() for axes in figure.axes] == ["loss", "accuracy", "learning rate", "momentum"]
    assert plot.steps_per_epoch == 10
    assert plot.answer == "best validation loss 0.102 after 40 steps, accuracy 0.897"
    assert figure.axes[-1].get_xlabel() == "step"


def test_the_best_evaluation_is_marked_where_it_is():
    figure = draw_training(TrainingPlot.of(table(), "digits"))
    (star,) = [line for line in figure.axes[0].lines if line.get_label() == "best validation"]
    assert star.get_xdata() == [39]


def test_an_explosion_does_not_flatten_a_training_curve():
    columns = table()
    columns["train_loss"][-5:] = [10, 1e3, 1e8, 1e12, np.inf]
    axes = draw_training(TrainingPlot.of(columns, "digits")).axes[0]
    assert axes.get_ylim()[1] < 100
    assert any("up to 1e12" in text.get_text() for text in axes.texts)


@pytest.mark.parametrize("steps", [0, 1, 2, 5])
def test_short_runs_can_be_drawn(steps):
    figure = draw_training(TrainingPlot.of({name: values[:steps] for name, values in table().items()}, "short"))
    assert render(figure, "png").startswith(b"\x89PNG")


@pytest.mark.parametrize("value", [np.nan, np.inf, -3.0, 0.0])
def test_odd_losses_can_be_drawn(value):
    columns = {**table(), "train_loss": np.full(60, value)}
    assert render(draw_training(TrainingPlot.of(columns, "odd")), "png").startswith(b"\x89PNG")


def test_schedules_are_overlaid_and_named():
    curves = {f"kind {i}": np.linspace(0.1, 0, 50) ** i for i in range(1, 11)}
    figure = draw_schedule(SchedulePlot(curves, other={"momentum": np.linspace(0.9, 0.8, 50)}))
    assert labels(figure) == list(curves)
    looks = {(line.get_color(), str(line._dash_pattern)) for line in figure.axes[0].lines}
    assert len(looks) == 10
    assert figure.axes[1].get_ylabel() == "momentum"


def test_long_curves_are_drawn_through_their_extremes():
    y = np.zeros(1_000_000)
    y[345_678] = 1.0
    x, few = outline(np.arange(len(y), dtype=float), y)
    assert len(few) < 5000 and few.max() == 1.0 and abs(x[few.argmax()] - 345_678) < 500


def test_equal_figures_give_equal_files(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first = save(draw_training(TrainingPlot.of(table(), "digits")), tmp_path / "a", "curves")
    again = save(draw_training(TrainingPlot.of(table(), "digits")), tmp_path / "b", "curves")
    assert [path.name for path in first] == ["curves.png", "curves.svg"]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in again]
    assert ElementTree.parse(first[1]).getroot().tag.endswith("svg")


def test_the_users_matplotlib_settings_change_nothing():
    import matplotlib

    ours = render(draw_schedule(SchedulePlot({"a": np.linspace(1, 0, 9)})), "png")
    with matplotlib.rc_context({"lines.linewidth": 9, "figure.facecolor": "red"}):
        assert render(draw_schedule(SchedulePlot({"a": np.linspace(1, 0, 9)})), "png") == ours
        assert matplotlib.rcParams["lines.linewidth"] == 9


def test_a_folder_that_cannot_be_written_is_an_output_error(tmp_path):
    with pytest.raises(OutputError, match="nowhere"):
        save(draw_schedule(SchedulePlot({"a": np.ones(3)})), tmp_path / "nowhere", "x")


def test_reports_need_neither_torch_nor_pyplot():
    code = (
        "import sys; import lrtool.report.plots.range_test;"
        "import lrtool.report.terminal.progress, lrtool.report.terminal.lines;"
        "assert 'matplotlib' not in sys.modules and 'rich' not in sys.modules;"
        "from lrtool.report.plots.schedule import *; from lrtool.report.plots.style import render;"
        "render(draw_schedule(SchedulePlot({'a': np.ones(3)})), 'png');"
        "assert 'torch' not in sys.modules and 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.1, "0.1"),
        (1e-3, "0.001"),
        (9.99e-4, "9.99e-4"),
        (0, "0"),
        (1234, "1234"),
        (9999.9, "10000"),
        (1e5, "1e5"),
        (-2e-6, "-2e-6"),
    ],
)
def test_numbers_are_written_for_people(value, text):
    assert number(value) == text


def test_long_names_lose_their_middle():
    assert shortened("short", 10) == "short"
    assert shortened("abcdefghijklmnop", 10) == "abcdef…nop"
