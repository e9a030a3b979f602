"""A range test in a user's process: what is given is left as it was, whatever happens, and what is odd is said."""

import contextlib
import os
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import lrtool
from lrtool.errors import LrtoolError, TaskError, UsageError
from tests.live.digests import Net, digest, trained

LOSS = nn.CrossEntropyLoss()


def left(before):
    """Folders that a test left in the folder for temporary files."""
    return set(Path(tempfile.gettempdir()).glob("lrtool-*")) - before


@pytest.fixture(autouse=True)
def own_temporary_files(tmp_path, monkeypatch):
    """Others who test at the same time have theirs elsewhere."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


@pytest.fixture
def objects():
    before = left(set())
    yield trained()
    assert not left(before)


@pytest.mark.parametrize("own", [True, False], ids=["own optimizer", "named optimizer"])
def test_everything_is_as_it_was(objects, quick, own):
    model, optimizer, scheduler, loader = objects
    before = digest(model, optimizer, [scheduler], loader)
    result = lrtool.range_test(model, loader, optimizer=optimizer if own else "sgd", loss=LOSS, **quick)
    assert digest(model, optimizer, [scheduler], loader) == before
    assert result.status.value == "finished" and result.folder is None
    assert [round(each / result.lrs[1], 6) for each in result.lrs] == [0.1, 1.0] if own and result.lrs else True


class Raises:
    """Raises at the n-th call."""

    def __init__(self, at, error=KeyboardInterrupt):
        self.left, self.error = at, error

    def __call__(self, *_):
        self.left -= 1
        if self.left == 0:
            raise self.error("injected")


@pytest.mark.parametrize(("at", "error"), [(1, RuntimeError), (2, KeyboardInterrupt), (30, RuntimeError)])
@pytest.mark.parametrize("where", ["forward", "backward", "loss", "step", "sample", "train", "hook"])
def test_what_the_users_code_raises_leaves_everything_as_it_was(objects, quick, where, at, error):
    model, optimizer, scheduler, loader = objects
    raises = Raises(at, error)
    loss = LOSS
    match where:
        case "forward":
            model.head.register_forward_pre_hook(raises)
        case "backward":
            model.head.weight.register_hook(raises)
        case "loss":
            loss = lambda output, target: raises() or LOSS(output, target)  # noqa: E731
        case "step":
            optimizer.register_step_pre_hook(raises)
        case "hook":
            optimizer.register_step_post_hook(raises)
        case "train":
            plain = type(model).train
            model.train = lambda mode=True: raises() or plain(model, mode)
        case "sample":
            loader.dataset.__class__ = type("Data", (torch.utils.data.TensorDataset,), {
                "__getitem__": lambda self, i: raises() or tuple(t[i] for t in self.tensors),
                "__getitems__": lambda self, many: [self[i] for i in many],
            })  # fmt: skip
    before = digest(model, optimizer, [scheduler], loader)
    # Where it was only looked at, nothing comes of it.
    with contextlib.suppress(error, LrtoolError):
        lrtool.range_test(model, loader, optimizer=optimizer, loss=loss, **quick)
    assert digest(model, optimizer, [scheduler], loader) == before


class RaisesAtFirst:
    """Raises when functions of lrtool are called for the first time; which of them, by number."""

    def __init__(self, at):
        self.at, self.seen = at, {}

    def __call__(self, frame, event, argument):
        code = frame.f_code
        if event == "call" and f"{os.sep}lrtool{os.sep}" in code.co_filename and code not in self.seen:
            self.seen[code] = len(self.seen)
            if self.seen[code] == self.at:
                raise KeyboardInterrupt(f"injected in {code.co_qualname}")


def broken(objects, quick, raiser):
    model, optimizer, _, loader = objects
    sys.settrace(raiser)
    try:
        lrtool.range_test(model, loader, optimizer=optimizer, loss=LOSS, **quick)
    finally:
        sys.settrace(None)


def test_wherever_it_is_broken_into_all_is_as_it_was(objects, quick):
    """In every function of lrtool that takes part, when it is called first (here in some of them)."""
    model, optimizer, scheduler, loader = objects
    before = digest(model, optimizer, [scheduler], loader)
    counter = RaisesAtFirst(-1)
    broken(objects, quick, counter)
    assert digest(model, optimizer, [scheduler], loader) == before and len(counter.seen) > 150
    for at in range(0, len(counter.seen), 1 if os.environ.get("LRTOOL_EVERY_POINT") else 61):
        raiser = RaisesAtFirst(at)
        with contextlib.suppress(KeyboardInterrupt, LrtoolError):
            broken(objects, quick, raiser)
        assert digest(model, optimizer, [scheduler], loader) == before, list(raiser.seen)[-1]


def test_ctrl_c_at_any_time(quick, quiet_collector):
    # Not `objects`: what comes while a finaliser runs is lost, and may leave its folder.
    model, optimizer, scheduler, loader = trained()
    before = digest(model, optimizer, [scheduler], loader)
    came = 0
    for seconds in (0.001, 0.03, 0.1, 0.25):
        timer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGINT))
        try:
            try:
                timer.start()
                lrtool.range_test(model, loader, optimizer=optimizer, loss=LOSS, **{**quick, "steps": 5000, "end": 0.1})
                time.sleep(0.5)  # it was over sooner
            finally:
                timer.join()
        except KeyboardInterrupt:
            came += 1
        assert digest(model, optimizer, [scheduler], loader) == before
    assert came


@pytest.mark.parametrize(
    ("cls", "options"),
    [
        (torch.optim.AdamW, {"fused": True}),
        (torch.optim.AdamW, {"lr": torch.tensor(1e-3), "foreach": False}),
        (torch.optim.Adagrad, {}),
        (torch.optim.NAdam, {}),
    ],
)
def test_optimizers_with_state_of_their_own(quick, data, cls, options):
    model = Net()
    optimizer = cls(model.parameters(), **options)
    before = digest(model, optimizer)
    lrtool.range_test(model, data, optimizer=optimizer, loss=LOSS, **quick)
    assert digest(model, optimizer) == before


def test_own_modes_hold_while_it_trains(quick, data):
    """A part that was put into evaluation mode on purpose is not trained in another."""
    model, modes = Net(), set()
    model.body[1].eval()
    model.body[1].register_forward_hook(lambda module, *_: modes.add((model.training, module.training)))
    lrtool.range_test(model, data, optimizer="sgd", loss=LOSS, val_fraction=0.0, **quick)
    assert (True, True) not in modes and model.training and not model.body[1].training


def test_groups_keep_their_ratios(quick, data):
    model = nn.Linear(6, 2)
    groups = [{"params": [model.weight], "lr": 0.5}, {"params": [model.bias], "lr": 0.05}]
    optimizer, seen = torch.optim.SGD(groups), []
    optimizer.register_step_pre_hook(lambda each, *_: seen.append([group["lr"] for group in each.param_groups]))
    lrtool.range_test(model, data, optimizer=optimizer, loss=LOSS, **quick)
    assert seen and all(first == pytest.approx(10 * second) for first, second in seen)


def test_autocast_around_it_holds_inside(quick, data):
    model, dtypes = nn.Linear(6, 2), set()
    model.register_forward_hook(lambda _, __, output: dtypes.add(output.dtype))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        lrtool.range_test(model, data, optimizer=torch.optim.SGD(model.parameters(), lr=0.1), loss=LOSS, **quick)
        assert torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") is torch.bfloat16
    assert dtypes == {torch.bfloat16}


def test_without_gradients_around_it(quick, data):
    model = nn.Linear(6, 2)
    with torch.no_grad():
        lrtool.range_test(model, data, optimizer="sgd", loss=LOSS, **quick)
        assert not torch.is_grad_enabled()


# ---- data ----


def test_a_generator_is_used_up_and_that_is_said(quick, data, caplog):
    x, y = data
    batches = ((x[i : i + 8], y[i : i + 8]) for i in range(0, 80, 8))
    result = lrtool.range_test(nn.Linear(6, 2), batches, optimizer="sgd", loss=LOSS, **quick)
    (said,) = [note for note in result.notes if "used up" in note]
    assert said == "the data are an iterator, which cannot begin again: 10 batches were taken and are used up"
    assert said in caplog.text


def test_a_loader_of_ones_own_begins_again(quick, data):
    class Loader:
        begun = 0

        def __iter__(self):
            self.begun += 1
            return iter([{"x": data[0][i : i + 8], "labels": data[1][i : i + 8]} for i in range(0, 80, 8)])

    class Takes(nn.Linear):
        def forward(self, x):
            return super().forward(x)

    loader = Loader()
    result = lrtool.range_test(Takes(6, 2), loader, optimizer="sgd", loss="cross_entropy", **quick)
    assert loader.begun == 0 and not [note for note in result.notes if "used up" in note]


def test_samples_from_a_generator_make_batches(quick, data):
    pairs = ((x, y) for x, y in zip(*data, strict=True))
    result = lrtool.range_test(nn.Linear(6, 2), pairs, optimizer="sgd", loss=LOSS, batch_size=16, **quick)
    assert any("80 samples were taken" in note for note in result.notes)


@pytest.mark.parametrize("kind", ["tensors", "arrays", "dataset", "subset", "list"])
def test_data_of_every_kind(quick, data, kind):
    x, y = data
    whole = torch.utils.data.TensorDataset(x, y)
    given = {
        "tensors": (x, y),
        "arrays": (x.numpy(), y.numpy()),
        "dataset": whole,
        "subset": torch.utils.data.Subset(whole, range(60)),
        "list": [(x[i], int(y[i])) for i in range(80)],
    }[kind]
    result = lrtool.range_test(nn.Linear(6, 2), given, optimizer="sgd", loss="cross_entropy", **quick)
    assert result.status.value == "finished"


def test_validation_data_apart(quick, data):
    quick.update(val_every=8)
    result = lrtool.range_test(nn.Linear(6, 2), data, val=data, optimizer="sgd", loss="cross_entropy", **quick)
    assert result.session.config.data.notes == ()
    assert "val_accuracy" in (result._folder / "metrics.csv").read_text()


# ---- what cannot be tested, and what is nearly right ----


class Compiled(nn.Module):
    """What `torch.compile` makes of a module, without the wait."""

    def __init__(self, inner):
        super().__init__()
        self._orig_mod = inner

    def forward(self, *_):
        raise AssertionError("compiled code was run")


def test_a_compiled_model_is_tested_as_it_is_written(quick, data):
    inner = nn.Linear(6, 2)
    optimizer = torch.optim.SGD(inner.parameters(), lr=0.1)
    before = digest(inner, optimizer)
    lrtool.range_test(Compiled(inner), data, optimizer=optimizer, loss=LOSS, **quick)
    # As `inner.compile()` leaves it.
    inner._compiled_call_impl = Compiled(inner).forward
    lrtool.range_test(inner, data, optimizer=optimizer, loss=LOSS, **quick)
    assert inner.__dict__.pop("_compiled_call_impl").__name__ == "forward"
    assert digest(inner, optimizer) == before


def test_a_replicated_model_is_tested_in_this_process(quick, data, tmp_path):
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        model = nn.parallel.DistributedDataParallel(nn.Linear(6, 2))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        LOSS(model(data[0]), data[1]).backward()
        before = digest(model.module, optimizer)
        lrtool.range_test(model, data, optimizer=optimizer, loss=LOSS, **quick)
        assert digest(model.module, optimizer) == before
        LOSS(model(data[0]), data[1]).backward()
    finally:
        torch.distributed.destroy_process_group()
    lrtool.range_test(nn.DataParallel(nn.Linear(6, 2)), data, optimizer="sgd", loss=LOSS, **quick)


def test_state_is_kept_on_disk(objects, quick, monkeypatch):
    """As it is where copies would take more than half of the memory."""
    from lrtool.live import storage

    model, optimizer, scheduler, loader = objects
    before = digest(model, optimizer, [scheduler], loader)
    monkeypatch.setattr(storage, "free_memory", lambda: 10)
    assert storage.TensorStorage("auto", 6).on_disk and not storage.TensorStorage("auto", 5).on_disk
    seen = left(set())
    model.register_forward_hook(lambda *_: seen.update(left(set())))
    before = digest(model, optimizer, [scheduler], loader)
    lrtool.range_test(model, loader, optimizer=optimizer, loss=LOSS, **quick)
    assert digest(model, optimizer, [scheduler], loader) == before
    assert any(folder.name.startswith("lrtool-kept-") for folder in seen)


def test_a_model_that_does_not_fit_often_is_not_copied(quick, data, monkeypatch):
    from lrtool.engine.loop import threads
    from lrtool.live import tested

    model, identities = nn.Linear(6, 2), set()
    model.register_forward_hook(lambda module, *_: identities.add(id(module.weight)))
    monkeypatch.setattr(tested, "free_on", lambda _: 100)
    monkeypatch.setattr(threads, "_PARAMETERS", 10)
    lrtool.range_test(model, data, optimizer="sgd", loss=LOSS, **quick)
    assert identities == {id(model.weight)}


class Sharded(nn.Linear):
    pass


Sharded.__name__ = "FullyShardedDataParallel"


def lbfgs():
    model = nn.Linear(6, 2)
    return {"model": model, "optimizer": torch.optim.LBFGS(model.parameters())}


REFUSED = {
    "another model's optimizer": (
        lambda: {"optimizer": torch.optim.SGD(nn.Linear(6, 2).parameters(), lr=0.1)},
        r"optimizer: the optimizer trains no parameter of this model; make it with",
    ),
    "an optimizer with a closure": (lbfgs, r"LBFGS evaluates the loss several times in a step"),
    "no LR": (
        lambda: (lambda m: {"model": m, "optimizer": torch.optim.SGD(m.parameters(), lr=0.0)})(nn.Linear(6, 2)),
        r"the LR of every parameter group is 0",
    ),
    "a part of a model": (
        lambda: {"model": Sharded(6, 2)},
        r"has only a part of the model here; test the model before",
    ),
    "lazy layers": (lambda: {"model": nn.LazyLinear(2)}, r"do not know their sizes yet; pass one batch through it"),
    "no values": (lambda: {"model": nn.Linear(6, 2, device="meta")}, r"meta device have no values"),
    "frozen": (lambda: {"model": nn.Linear(6, 2).requires_grad_(False)}, r"only frozen parameters.*unfreeze"),
    "nothing to train": (lambda: {"model": nn.ReLU()}, r"has no parameters"),
    "no data": (lambda: {"data": None}, r"no data are given; pass a DataLoader"),
    "data that are none": (lambda: {"data": 3}, r"the data are 3"),
    "empty data": (lambda: {"data": iter([])}, r"the iterable of batches is empty"),
    "no model": (lambda: {"model": 3}, r"expected a model or a config, but got int"),
    "a config with data": (lambda: {"model": "config.yaml"}, r"data, optimizer, loss, .*with a config"),
    "a misspelt setting": (lambda: {"durations": 3}, r"no setting 'durations'; did you mean 'duration'"),
    "a wrong setting": (lambda: {"steps": 1}, r"range_test.steps +must be at least 2, but got 1"),
    "an unknown optimizer": (lambda: {"optimizer": "adamv"}, r"adamv.*did you mean"),
    "a wrong place for copies": (lambda: {"keep": "gpu"}, r"keep: copies are kept on auto, cpu or disk, but got 'gpu'"),
    "overrides without a config": (lambda: {"overrides": {"a": 1}}, r"are for configs"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_is_said_and_changes_nothing(quick, data, name):
    make, said = REFUSED[name]
    changes = make()
    given = {"model": nn.Linear(6, 2), "data": data, "optimizer": "sgd", "loss": LOSS, **quick, **changes}
    state = torch.get_rng_state()
    with pytest.raises((UsageError, TaskError), match=said):
        lrtool.range_test(given.pop("model"), given.pop("data"), **given)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_config_or_nothing_is_tested_too(quick, tmp_path):
    config = {
        "name": "small",
        "model": {"kind": "mlp", "hidden": [4]},
        "data": {"kind": "spirals", "samples": 100, "batch_size": 20},
        "optimizer": {"kind": "sgd", "lr": 0.1},
        "range_test": {"steps": 20, "seeds": 1, "probe_steps": 0},
    }
    result = lrtool.range_test(config, overrides={"range_test.steps": 24}, seed=3, progress=False, output=tmp_path)
    assert result.folder.parent == tmp_path / "small" and result.session.config.seed == 3
    assert result.found.lr.shape == (24,)


def test_numbers_of_arrays_are_taken_as_they_are(quick):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((60, 3))
    result = lrtool.range_test(lambda: nn.Linear(3, 1), (x, x[:, :1]), optimizer=torch.optim.SGD, loss="mse", **quick)
    assert result.session.config.optimizer.lr == 1e-3
