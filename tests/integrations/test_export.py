"""Exported code: self-contained, and the same numbers as the curve, for any schedule there is."""

import csv
import io
import json
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conftest import examples
from lrtool.config.specs import Spec, as_schedule, parse_items
from lrtool.errors import UsageError
from lrtool.integrations.export import TARGETS, export
from lrtool.integrations.export.trace import STEP, UntraceableError, trace
from lrtool.schedules import KINDS, Schedule
from tests.schedules.strategies import KINDS_DRAWN, schedules

CLOSED = sorted(set(KINDS.kinds) - {"table"})
STEPS, LR = 60, 0.3


def namespace(text):
    """What the code defines, with lrtool out of reach."""
    assert "lrtool" not in "".join(line for line in text.splitlines() if "import" in line)
    scope = {"__name__": "exported"}
    exec(compile(text, "exported.py", "exec"), scope)
    return scope


def spec_of(fields):
    return Spec("test", as_schedule(fields))


def agree(got, expected, tolerance=1e-12):
    """Relative to each value; next to nothing, relative to what is rounded on the way there."""
    np.testing.assert_allclose(got, expected, rtol=tolerance, atol=1e-15 * np.max(np.abs(expected)))


def stepped(optimizer, scheduler, updates):
    used = []
    for _ in range(updates):
        used.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return used


def sgd():
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=LR, momentum=0.9)


@pytest.mark.parametrize("kind", CLOSED)
def test_torch_code_of_every_kind_in_an_optimizer(kind):
    fields = {"kind": kind, "warmup": "10%"}
    scope = namespace(export(spec_of(fields), "torch", LR, STEPS))
    optimizer = sgd()
    used = stepped(optimizer, scope["make_scheduler"](optimizer), STEPS + 5)
    agree(used, as_schedule(fields).bind(LR, STEPS)(np.arange(STEPS + 5)))


@pytest.mark.parametrize("kind", CLOSED)
def test_every_kind_has_a_closed_form(kind):
    """Its code does not grow with the run."""
    short, long = (export(spec_of({"kind": kind, "warmup": "10%"}), "torch", LR, steps) for steps in (100, 10_000))
    assert abs(len(long) - len(short)) < 80


@settings(max_examples=examples(400), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(schedules())
def test_any_schedule_in_plain_python(drawn):
    fields, steps, _ = drawn
    schedule = as_schedule(fields)
    factor = namespace(export(Spec("test", schedule), "torch", LR, steps))["factor"]
    expected = schedule.bind(LR, steps)(np.arange(steps + 4))
    agree([LR * factor(t) for t in range(steps + 4)], expected)


def test_all_kinds_are_drawn():
    assert set(CLOSED) == KINDS_DRAWN


@pytest.mark.parametrize("kind", ["one_cycle", "cyclical", "sequence", "repeated"])
def test_momentum_goes_with_it(kind):
    fields = {"kind": kind, "warmup": 4}
    if kind == "sequence":
        fields["segments"] = [{"kind": "one_cycle", "duration": 30}, {"kind": "linear"}]
    elif kind == "repeated":
        fields["schedule"] = {"kind": "one_cycle", "phases": 3}
    scope = namespace(export(spec_of(fields), "torch", LR, STEPS))
    curve = as_schedule(fields).bind_momentum(LR, STEPS)
    optimizer = sgd()
    adam = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=LR)
    pairs = [(each, scope["make_scheduler"](each)) for each in (optimizer, adam)]
    for t in range(STEPS + 5):
        assert optimizer.param_groups[0]["momentum"] == pytest.approx(curve(t), rel=1e-12)
        assert adam.param_groups[0]["betas"] == (pytest.approx(curve(t), rel=1e-12), 0.999)
        for each, scheduler in pairs:
            each.step()
            scheduler.step()


def test_other_hyperparameters_of_a_config(tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text(
        "model: mlp\ndata: digits\noptimizer: {kind: adamw, lr: 0.3, weight_decay: 0.1, beta1: 0.8}\n"
        "schedule: cosine\nschedules: {weight_decay: linear, beta1: {kind: linear, final: 50%}}\n"
    )
    spec = parse_items([str(file)])[0]
    scope = namespace(export(spec, "torch", spec.lr, 10))
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=0.3, betas=(0.8, 0.95))
    scheduler = scope["make_scheduler"](optimizer)
    for t in range(12):
        left = max(10 - t, 0) / 10
        group = optimizer.param_groups[0]
        assert group["weight_decay"] == pytest.approx(0.1 * left, rel=1e-12)
        assert group["betas"] == (pytest.approx(0.4 + 0.4 * left, rel=1e-12), 0.95)
        optimizer.step()
        scheduler.step()


@pytest.mark.parametrize("fields", [{"kind": "cosine", "warmup": "10%"}, {"kind": "one_cycle"}])
def test_code_for_trainers(fields):
    curve = as_schedule(fields).bind(LR, STEPS)
    scope = namespace(export(spec_of(fields), "transformers", LR, STEPS))
    optimizer, scheduler = scope["make_optimizers"](torch.nn.Linear(2, 1))
    agree(stepped(optimizer, scheduler, STEPS), curve.table())
    scope = namespace(export(spec_of(fields), "lightning", LR, STEPS))
    made = scope["configure_optimizers"](torch.nn.Linear(2, 1))
    assert made["lr_scheduler"]["interval"] == "step"
    agree(stepped(made["optimizer"], made["lr_scheduler"]["scheduler"], STEPS), curve.table())


@pytest.mark.filterwarnings("ignore")
def test_lightning_runs_the_code(tmp_path):
    lightning = pytest.importorskip("lightning")
    scope = namespace(export(spec_of("cosine warmup=3"), "lightning", LR, 12))
    used = []

    class Net(lightning.LightningModule):
        configure_optimizers = scope["configure_optimizers"]

        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(3, 1)

        def training_step(self, batch, _):
            used.append(self.optimizers().param_groups[0]["lr"])
            return self.layer(batch).square().mean()

    lightning.Trainer(
        max_steps=12, accelerator="cpu", logger=False, default_root_dir=tmp_path, enable_progress_bar=False,
        enable_model_summary=False, enable_checkpointing=False,
    ).fit(Net(), torch.utils.data.DataLoader(torch.ones(12, 3)))  # fmt: skip
    agree(used, as_schedule("cosine warmup=3").bind(LR, 12).table())


@pytest.mark.filterwarnings("ignore")
def test_transformers_runs_the_code(tmp_path):
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("accelerate")
    scope = namespace(export(spec_of("cosine warmup=3"), "transformers", LR, 12))

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(3, 1)

        def forward(self, x):
            return {"loss": self.layer(x).square().mean()}

    model = Net()
    arguments = transformers.TrainingArguments(
        str(tmp_path), max_steps=12, report_to=[], use_cpu=True, logging_steps=1, disable_tqdm=True, save_strategy="no"
    )
    trainer = transformers.Trainer(
        model, arguments, train_dataset=[{"x": torch.ones(3)}] * 8, optimizers=scope["make_optimizers"](model)
    )
    trainer.train()
    logged = [entry["learning_rate"] for entry in trainer.state.log_history if "learning_rate" in entry]
    curve = as_schedule("cosine warmup=3").bind(LR, 12)
    # A log line tells the LR of the update to come, or of the one that was, by version.
    assert any(np.allclose(logged, curve(np.arange(12) + ahead), rtol=1e-12, atol=0) for ahead in (0, 1))


@pytest.mark.parametrize("kind", CLOSED)
def test_optax_code_is_array_code(kind, monkeypatch):
    """jax.numpy has NumPy's interface, so NumPy can stand in for it where jax is not installed."""
    monkeypatch.setitem(sys.modules, "jax", SimpleNamespace(numpy=np))
    monkeypatch.setitem(sys.modules, "jax.numpy", np)
    fields = {"kind": kind, "warmup": "10%"}
    scope = namespace(export(spec_of(fields), "optax", LR, STEPS))
    at = np.arange(STEPS + 5)
    with np.errstate(invalid="ignore"):  # the branch that is not taken
        agree(scope["learning_rate"](at), as_schedule(fields).bind(LR, STEPS)(at))


@pytest.mark.parametrize("kind", CLOSED)
@pytest.mark.parametrize("precise", [True, False])
def test_optax_code_of_every_kind(kind, precise):
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", precise)
    fields = {"kind": kind, "warmup": "10%"}
    scope = namespace(export(spec_of(fields), "optax", LR, STEPS))
    at = range(STEPS + 5)
    curve = as_schedule(fields).bind(LR, STEPS)(np.arange(STEPS + 5))
    inside = jax.jit(scope["learning_rate"])
    for function in (scope["learning_rate"], inside):
        got = np.array([function(t) for t in at], dtype=np.float64)
        if precise:
            agree(got, curve)
        else:
            np.testing.assert_allclose(got, curve, rtol=2e-6, atol=2e-7 * LR)
    jax.config.update("jax_enable_x64", False)


@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(schedules())
def test_any_schedule_in_jax(drawn):
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    fields, steps, _ = drawn
    schedule = as_schedule(fields)
    function = namespace(export(Spec("test", schedule), "optax", LR, steps))["learning_rate"]
    at = np.arange(steps + 4)
    agree(np.asarray(function(at)), schedule.bind(LR, steps)(at))
    jax.config.update("jax_enable_x64", False)


@pytest.mark.parametrize(
    ("extra", "hint"),
    [
        ("", "optax.adamw(learning_rate)"),
        ("schedules: {beta1: linear}\n", "inject_hyperparams(optax.adamw)(learning_rate, b1=beta1)"),
        ("schedules: {weight_decay: linear}\n", "(optax.adamw)(learning_rate, weight_decay=weight_decay)"),
    ],
)
def test_optax_code_says_how_to_use_it(extra, hint, tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text(f"model: mlp\ndata: digits\noptimizer: {{kind: adamw, lr: 0.3}}\n{extra}")
    assert hint in export(parse_items([str(file)])[0], "optax", 0.3, 10)


def test_optax_moves_momentum_too():
    optax = pytest.importorskip("optax")
    jnp = pytest.importorskip("jax.numpy")
    scope = namespace(export(spec_of("one_cycle"), "optax", LR, STEPS))
    optimizer = optax.inject_hyperparams(optax.sgd)(scope["learning_rate"], momentum=scope["momentum"])
    parameters = jnp.zeros(1)
    state = optimizer.init(parameters)
    lr = as_schedule("one_cycle").bind(LR, STEPS)
    momentum = as_schedule("one_cycle").bind_momentum(LR, STEPS)
    for t in range(STEPS):
        _, state = optimizer.update(jnp.ones(1), state, parameters)
        assert float(state.hyperparams["learning_rate"]) == pytest.approx(lr(t), rel=1e-5)
        assert float(state.hyperparams["momentum"]) == pytest.approx(momentum(t), rel=1e-6)


@pytest.mark.parametrize("target", ["torch", "transformers", "lightning", "optax"])
def test_the_code_runs_as_a_script(target, tmp_path):
    if target == "optax":
        pytest.importorskip("optax")
    script = tmp_path / "script.py"
    script.write_text(export(spec_of("one_cycle warmup=5"), target, LR, STEPS), encoding="utf-8")
    done = subprocess.run([sys.executable, "-I", str(script)], capture_output=True, text=True, cwd="/", check=True)
    rows = np.array([line.split(",") for line in done.stdout.splitlines()], dtype=float)
    assert rows[:, 0].tolist() == list(range(STEPS))
    expected = as_schedule("one_cycle warmup=5").bind(LR, STEPS).table()
    np.testing.assert_allclose(rows[:, 1], expected, rtol=1e-6 if target == "optax" else 1e-12, atol=1e-9)


def test_csv_is_exact_and_reads_back_as_a_table(tmp_path):
    fields = {"kind": "one_cycle", "warmup": 3}
    text = export(spec_of(fields), "csv", LR, STEPS)
    rows = list(csv.DictReader(io.StringIO(text)))
    at = np.arange(STEPS + 1)
    curve = as_schedule(fields).bind(LR, STEPS)
    assert [float(row["lr"]) for row in rows] == curve(at).tolist()
    assert [float(row["momentum"]) for row in rows] == as_schedule(fields).bind_momentum(LR, STEPS)(at).tolist()
    file = tmp_path / "rates.csv"
    file.write_text(text)
    back = as_schedule({"kind": "table", "file": file}).bind(LR, STEPS)
    np.testing.assert_allclose(back(np.arange(STEPS + 9)), curve(np.arange(STEPS + 9)), rtol=1e-15)


@pytest.mark.parametrize("interpolate", [False, True])
def test_a_table_is_written_into_the_code(interpolate, tmp_path):
    file = tmp_path / "rates.csv"
    rows = [(0, 1.0), (1, 0.5), (2, 0.25), (3, 0.125), (4, 0.1), (5, 0.05), (6, 0.025), (7, 0.01), (8, 0.0)]
    kept = [row for row in rows if not interpolate or row[0] != 4]
    file.write_text("step,factor\n" + "".join(f"{step},{factor}\n" for step, factor in kept))
    fields = {"kind": "table", "file": file, "interpolate": interpolate, "warmup": 2}
    factor = namespace(export(spec_of(fields), "torch", LR, 9))["factor"]
    agree([LR * factor(t) for t in range(14)], as_schedule(fields).bind(LR, 9)(np.arange(14)))


class Odd(Schedule):
    """A formula that cannot be followed."""

    kind: str

    def factor(self, d, length):
        return np.array([1 / (1 + int(each) % 3) for each in d])


def test_a_formula_that_cannot_be_followed_becomes_a_table():
    schedule = Odd(kind="odd", warmup=2)
    with pytest.raises(UntraceableError):
        trace(lambda t: schedule.factor(t, 9))
    text = export(Spec("odd", schedule), "torch", LR, 9)
    factor = namespace(text)["factor"]
    agree([LR * factor(t) for t in range(14)], schedule.bind(LR, 9)(np.arange(14)))
    with pytest.raises(UsageError, match="--to csv"):
        export(Spec("odd", schedule), "torch", LR, 200_000)


def test_the_code_says_what_it_is():
    text = export(spec_of([{"kind": "linear", "duration": 5}, {"kind": "cosine", "final": "1%"}]), "torch", LR, 20)
    written = text.splitlines()[1].removeprefix("#").strip()
    assert as_schedule(json.loads(written)).bind(LR, 20).table().tolist() == (
        as_schedule([{"kind": "linear", "duration": 5}, {"kind": "cosine", "final": "1%"}])
        .bind(LR, 20)
        .table()
        .tolist()
    )


def test_unknown_target():
    assert set(TARGETS) == {"torch", "transformers", "lightning", "optax", "csv"}
    with pytest.raises(UsageError, match="'keras'; choose one of: torch"):
        export(spec_of("cosine"), "keras", LR, 10)


@settings(max_examples=examples(100), deadline=None)
@given(st.floats(-3, 3), st.floats(0.1, 3), st.integers(0, 30))
def test_tracing_follows_arrays_that_are_changed_in_place(a, b, t):
    def formula(d):
        out = np.where((d > 3) & ~(d > 20), a - (b - d), -d * b)
        out[d >= 25] = d[d >= 25] ** 2 / b
        out -= b
        return out.clip(-50, 50)

    from lrtool.integrations.export.code import PYTHON, body

    lines, _ = body(trace(formula), PYTHON)
    scope = {}
    exec("def f(t):\n" + "\n".join(f"    {line}" for line in lines), scope)
    assert scope["f"](t) == pytest.approx(formula(np.array([float(t)]))[0], rel=1e-14)
    assert STEP.op == "step"
