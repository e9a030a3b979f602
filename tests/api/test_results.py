"""Results: numbers, tables, figures, HTML, the run folder on request; and what each function gives."""

import re
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch
from matplotlib.figure import Figure
from torch import nn

import lrtool
from lrtool.analysis.range_test_result import LrEstimate
from lrtool.api.results.html import page
from lrtool.errors import OutputError, UsageError

SHORT = {"optimizer": "sgd", "loss": "mse", "duration": 30, "progress": False}


@pytest.fixture(scope="module")
def regression():
    torch.manual_seed(0)
    x = torch.randn(120, 4)
    return x, x[:, :1]


def model():
    return nn.Linear(4, 1)


@pytest.fixture(scope="module")
def tested(regression):
    return lrtool.range_test(model(), regression, **SHORT, seeds=2, probe_steps=20)


@pytest.fixture(scope="module")
def tuned(regression):
    return lrtool.tune(model, regression, **SHORT, seeds=2, budget=12)


@pytest.fixture(scope="module")
def trained(regression):
    return lrtool.train(model, regression, **SHORT, lr=0.1, schedule="cosine")


@pytest.fixture(params=["tested", "tuned", "trained"])
def result(request):
    return request.getfixturevalue(request.param)


def test_a_result_can_be_looked_at(result):
    table = result.table()  # a list without pandas
    rows = table if isinstance(table, list) else table.to_dict("records")
    assert isinstance(result.plot(), Figure) and str(rows) == str(result.rows())
    html = result._repr_html_()
    assert html.startswith("<div><p>") and "<table>" in html and "data:image/png;base64," in html
    assert result.answer in str(result) and type(result).__name__ in repr(result)


def test_a_result_that_is_saved_and_loaded_is_the_same(result, tmp_path):
    assert result.folder is None
    folder = result.save(tmp_path / "new" / "run")
    assert result.folder == folder and {"config.yaml", "metrics.csv", "summary.json"} <= {
        p.name for p in folder.iterdir()
    }
    again = lrtool.load(folder)
    assert type(again) is type(result) and again.answer == result.answer and again.rows() == result.rows()
    assert isinstance(again.plot(), Figure) and again.status is result.status
    with pytest.raises(UsageError, match="there is something already; name a new or empty folder"):
        result.save(folder)
    result._temporary = result._folder


def test_plots_are_drawn_once_a_result_is_saved(regression, tmp_path):
    done = lrtool.train(model, regression, **SHORT)
    assert not list(done._folder.glob("*.png"))
    folder = done.save(tmp_path / "run")
    assert {"curves.png", "curves.svg"} <= {path.name for path in folder.iterdir()}
    kept = lrtool.train(model, regression, **SHORT, output=tmp_path / "kept")
    assert {path.suffix for path in kept.folder.glob("curves.*")} == {".png", ".svg"}


def test_a_result_that_cannot_be_saved_can_be_saved_elsewhere(regression, tmp_path):
    done = lrtool.train(model, regression, **SHORT)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        done.save(tmp_path / "file" / "run")
    assert done.folder is None and (done.save(tmp_path / "run") / "curves.png").is_file()


def test_suggestions_are_numbers(tested, tuned):
    for each in (tested, tuned):
        low, high = each.interval
        assert low <= each.suggested_lr and (high is None or each.suggested_lr <= high)
        assert each.suggested_lr == each.summary["suggested_lr"]
    assert tuned.expected_loss < 1 and tested.stability_limit > 0
    assert [row["what"] for row in tested.rows()][1] == "suggested peak LR"


def test_a_loaded_plot_says_the_same(tested, tmp_path):
    again = lrtool.load(tested.save(tmp_path / "run")).plotted()
    now = tested.plotted()
    assert again.answer == now.answer and (again.losses == now.losses).sum() == (now.losses == now.losses).sum()
    assert isinstance(again.suggestion, LrEstimate) and again.stability == now.stability


def test_the_table_is_a_data_frame_where_pandas_is_installed(tested, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", SimpleNamespace(DataFrame=lambda rows: ("frame", len(rows))))
    assert tested.table() == ("frame", 5)


def test_nothing_is_left_of_a_result_that_is_gone(regression):
    done = lrtool.train(model, regression, **SHORT)
    folder = done._folder
    assert folder.exists()
    del done
    assert not folder.exists()


def test_names_are_no_markup():
    html = page("<b>", ["<i>"], [{"<u>": "<s>", "x": None, "lr": 1e-5}], None)
    assert not re.search("<[bius]>", html) and "&lt;s&gt;" in html and "1e-5" in html


def test_a_module_is_trained_where_it_is(regression):
    own = model()
    optimizer = torch.optim.SGD([{"params": [own.weight], "lr": 0.2}, {"params": [own.bias], "lr": 0.02}])
    before = own.weight.detach().clone()
    done = lrtool.train(own, regression, optimizer=optimizer, loss="mse", duration=30, lr=0.1, progress=False)
    assert done.model is own and not torch.equal(own.weight, before)
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.1, 0.01])
    assert done.best_weights().keys() == own.state_dict().keys()
    assert done.curves()["lr"].shape == (30,)


def test_what_is_made_is_the_results_model(trained):
    assert isinstance(trained.model, nn.Linear) and trained.final["val_loss"] < 1
    assert trained.rows()[-1]["step"] == 30


def test_the_lr_of_another_run(regression, tested, tmp_path):
    folder = tested.save(tmp_path / "run")
    done = lrtool.train(model, regression, **SHORT, lr_from=folder)
    assert done.curves()["lr"][0] == tested.suggested_lr
    with pytest.raises(UsageError, match="both give the LR"):
        lrtool.train(model, regression, **SHORT, lr=0.1, lr_from=folder)
    with pytest.raises(UsageError, match="finite number above 0, but got -1"):
        lrtool.train(model, regression, **SHORT, lr=-1)


def test_runs_are_compared(regression):
    runs = [lrtool.train(model, regression, **SHORT, lr=lr, seed=seed) for lr in (0.1, 1e-4) for seed in (0, 1, 2)]
    found = lrtool.compare(runs, "train_loss")
    assert len(found.rows()) == 2 and "0.1" in found.best and isinstance(found.plot(), Figure)
    assert found.best in found.answer and "<table>" in found._repr_html_()
    with pytest.raises(UsageError, match="expected a run folder or a result, but got int"):
        lrtool.compare([3])


def test_a_comparison_is_saved(regression, tmp_path):
    runs = [lrtool.train(model, regression, **SHORT, lr=0.1, seed=seed) for seed in (0, 1)]
    folder = lrtool.compare(runs).save(tmp_path / "comparison")
    assert {"comparison.csv", "final.png"} <= {path.name for path in folder.iterdir()}


def test_a_tune_of_a_module_leaves_it_as_it_was(regression):
    own = model()
    optimizer = torch.optim.SGD(own.parameters(), lr=0.01, momentum=0.5)
    before = own.weight.detach().clone()
    found = lrtool.tune(own, regression, optimizer=optimizer, loss="mse", duration=20, budget=14, seeds=1,
                        steps=24, progress=False)  # fmt: skip
    assert torch.equal(own.weight, before) and not optimizer.state
    assert found.summary["engine"]["name"] == "loop" and found.scales == (1.0,)


def test_an_optimizer_of_one_model_is_none_for_many(regression):
    optimizer = torch.optim.SGD(model().parameters(), lr=0.1)
    with pytest.raises(UsageError, match=r"belongs to one model.*lambda parameters"):
        lrtool.tune(model, regression, optimizer=optimizer, progress=False)
    with pytest.raises(UsageError, match=r"gave list, not an nn\.Module"):
        lrtool.tune(list, regression, progress=False)
    with pytest.raises(UsageError, match="gave Linear, not a torch optimizer"):
        lrtool.tune(model, regression, optimizer=lambda parameters: model(), progress=False)


def test_no_suggestion_has_a_reason_and_nothing_to_apply(regression):
    own = model()
    found = lrtool.range_test(own, regression, **SHORT, steps=20, end=1e-5, seeds=1, probe_steps=0)
    assert found.suggested_lr is None and found.interval is None and found.lrs == []
    assert found.answer == f"no suggestion: {found.reason}" and found.reason
    with pytest.raises(UsageError, match="there is no LR to set"):
        found.apply(torch.optim.SGD(own.parameters(), lr=0.1))


def test_an_lr_is_applied_in_proportion_and_for_schedulers(tested):
    own = model()
    optimizer = torch.optim.SGD([{"params": [own.weight], "lr": 1.0}, {"params": [own.bias], "lr": 0.1}])
    torch.optim.lr_scheduler.LinearLR(optimizer, 0.5, total_iters=4)
    tested.apply(optimizer)
    lr = tested.suggested_lr
    assert [group["initial_lr"] for group in optimizer.param_groups] == pytest.approx([lr, lr / 10])


def test_progress_is_plain_where_nobody_can_move_the_cursor(regression, capsys):
    """As in a notebook, whose stderr is no terminal."""
    lrtool.train(model, regression, **{**SHORT, "progress": True})
    captured = capsys.readouterr()
    assert not captured.out and "30/30 steps" in captured.err and not set("\x1b\r") & set(captured.err)
    lrtool.train(model, regression, **SHORT)
    assert capsys.readouterr() == ("", "")


def test_a_schedule_can_be_looked_at_and_trained_by(tmp_path):
    view = lrtool.schedule("one_cycle", lr=0.4, steps=50)
    assert isinstance(view.plot(), Figure) and "<table>" in view._repr_html_()
    assert max(row["lr"] for row in view.rows()) <= 0.4 and view.rows()[-1]["step"] == 49
    optimizer = torch.optim.SGD(model().parameters(), lr=0.4, momentum=0.9)
    scheduler = view.torch(optimizer, steps=50)
    assert isinstance(scheduler, torch.optim.lr_scheduler.LRScheduler)
    assert scheduler.get_last_lr() == [view.values()[0]]
    assert (view.save(tmp_path / "plots") / "schedule.png").is_file()
    assert lrtool.schedule(view.schedule, final=0.0).schedule.kind == "one_cycle"
    with pytest.raises(UsageError, match="did you mean"):
        lrtool.schedule("cosin")


def test_importing_lrtool_imports_nothing_heavy():
    code = (
        "import sys, lrtool; assert not {'torch', 'numpy', 'pydantic', 'matplotlib'} & sys.modules.keys();"
        "lrtool.schedule('cosine').bind(0.1, 10); [getattr(lrtool, name) for name in lrtool.__all__];"
        "assert not {'torch', 'matplotlib', 'scipy'} & sys.modules.keys(); assert 'tune' in dir(lrtool)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="no attribute 'tunes'"):
        lrtool.tunes  # noqa: B018


def test_a_schedule_is_explained():
    assert lrtool.schedule("cosine", warmup="10%").explain().startswith("cosine: ")


def test_a_report_of_results_is_one_file(trained, tuned, tmp_path):
    report = lrtool.html_report([trained, tuned], tmp_path)
    assert report.file == tmp_path / "report.html" and report.bytes == len(report.file.read_bytes())
    assert report.answer in report.document()["answers"] and len(report.document()["runs"]) == 2
    with pytest.raises(UsageError, match="expected a run folder"):
        lrtool.html_report([3])
