"""Range tests of a real `transformers.Trainer`, and its training on lrtool's schedules."""

import gc

import pytest
import torch

from lrtool.errors import UsageError
from lrtool.schedules import KINDS

transformers = pytest.importorskip("transformers", reason="needs transformers")
pytest.importorskip("accelerate", reason="needs accelerate")

from lrtool.integrations.transformers import CurveCallback, range_test  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")


class Net(torch.nn.Module):
    """A frozen part, and a small one beside it that is trained, as in an adapter."""

    def __init__(self):
        super().__init__()
        self.body, self.adapter = torch.nn.Linear(3, 1), torch.nn.Linear(3, 1)
        self.body.requires_grad_(False)

    def forward(self, x, labels):
        return {"loss": torch.nn.functional.mse_loss(self.body(x) + self.adapter(x), labels)}


class Watch(transformers.TrainerCallback):
    """Notes the LR of each update."""

    def __init__(self):
        self.lrs = []

    def on_pre_optimizer_step(self, args, state, control, optimizer=None, **_):
        self.lrs.append(optimizer.param_groups[0]["lr"])


@pytest.fixture
def trainer(tmp_path, pairs):
    def make(callbacks=(), optimizers=(None, None), cls=transformers.Trainer, **settings):
        torch.manual_seed(0)
        defaults = {"num_train_epochs": 1, "per_device_train_batch_size": 16, "save_strategy": "no"}
        options = {"use_cpu": True, "disable_tqdm": True, "report_to": [], "logging_steps": 1, "max_grad_norm": 0}
        arguments = transformers.TrainingArguments(str(tmp_path), **(defaults | options | settings))
        # One sample, many times: however they are shuffled, the loss has no noise.
        data = [{"x": pairs[0][0], "labels": pairs[1][0]}] * 128
        model = Net()
        if callable(optimizers):
            optimizers = (optimizers(model.adapter.parameters()), None)
        return cls(model, arguments, train_dataset=data, optimizers=optimizers, callbacks=list(callbacks))

    return make


def state(trainer, digest):
    """What a trainer, its accelerator and its callbacks hold."""
    # What earlier trainers left behind is counted among what all share.
    gc.collect()
    accelerator = trainer.accelerator
    held = {name: id(value) for name, value in vars(trainer).items()}
    inside = {name: repr(value) for name, value in vars(accelerator).items()}
    shared = {name: repr(value) for name, value in vars(accelerator.gradient_state).items()}
    handler = {name: id(value) for name, value in vars(trainer.callback_handler).items()}
    return digest(trainer.model, trainer.optimizer), held, inside, shared, handler, repr(trainer.state)


@pytest.mark.parametrize("trained", [False, True])
def test_everything_is_as_it_was(trained, trainer, quick, digest, tmp_path):
    given = trainer()
    if trained:
        given.train()
    before, files = state(given, digest), sorted(tmp_path.rglob("*"))
    assert range_test(given, **quick).status.value == "finished"
    assert state(given, digest) == before
    assert sorted(tmp_path.rglob("*")) == files


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("theirs")])
def test_what_breaks_off_changes_nothing(error, trainer, quick, digest):
    class Failing(transformers.Trainer):
        calls = 0

        def compute_loss(self, *given, **more):
            Failing.calls += 1
            if Failing.calls == 15:
                raise error
            return super().compute_loss(*given, **more)

    given = trainer(cls=Failing)
    before = state(given, digest)
    with pytest.raises(type(error)):
        range_test(given, **quick)
    assert state(given, digest) == before


@pytest.mark.parametrize("own", [True, False])
def test_the_lr_reaches_the_optimizer(own, trainer, quick):
    watch = Watch()
    optimizers = {"optimizers": lambda p: torch.optim.SGD(p, lr=0.01)} if own else {"optim": "sgd"}
    given = trainer([watch], lr_scheduler_type="constant", **optimizers)
    found = range_test(given, apply=True, **quick)
    given.train()
    assert found.suggested_lr > 0.01
    assert watch.lrs == pytest.approx([found.suggested_lr] * 8)


@pytest.mark.parametrize(("many", "bf16"), [(1, False), (4, False), (2, True)])
def test_it_trains_as_the_trainer_does(many, bf16, trainer):
    """Update for update, with the same LRs: accumulation, clipping, precision, decay."""
    settings = {"gradient_accumulation_steps": many, "bf16": bf16, "max_grad_norm": 0.5, "max_steps": 20}
    settings |= {"lr_scheduler_type": "constant", "learning_rate": 1e-3}
    found = range_test(trainer(**settings), quick=True, steps=20, start=1e-3, end=1.0000001e-3, seeds=1, progress=False)
    given = trainer(**settings)
    given.train()
    losses = [entry["loss"] for entry in given.state.log_history if "loss" in entry]
    assert found.made()[1].losses[0] == pytest.approx(losses, rel=1e-3)


def test_the_trainers_schedule_is_the_tests(trainer, quick):
    found = range_test(trainer(lr_scheduler_type="cosine", warmup_steps=2), **quick)
    schedule = found.made()[0].config.schedule
    assert (schedule.kind, schedule.warmup.written() if hasattr(schedule.warmup, "written") else 2) == ("cosine", 2)
    other = range_test(trainer(lr_scheduler_type="inverse_sqrt"), **quick)
    assert any("inverse_sqrt" in note for note in other.notes)


def test_what_is_no_trainer(quick):
    with pytest.raises(UsageError, match="expected a transformers Trainer, but got Linear"):
        range_test(torch.nn.Linear(1, 1), **quick)


def test_a_schedule_as_a_callback(trainer, tmp_path):
    watch = Watch()
    given = trainer([CurveCallback("one_cycle rise=4"), watch], learning_rate=0.1, max_steps=12)
    given.train()
    expected = KINDS["one_cycle"](rise=4).bind(0.1, 12).table()
    assert watch.lrs == pytest.approx(expected)
    logged = [entry["learning_rate"] for entry in given.state.log_history if "learning_rate" in entry]
    assert logged == pytest.approx(expected)


def test_a_schedule_as_a_callback_resumes(trainer, tmp_path):
    saving = {"save_strategy": "steps", "save_steps": 5, "max_steps": 12, "learning_rate": 0.1}
    trainer([CurveCallback("one_cycle rise=4")], **saving).train()
    watch = Watch()
    trainer([CurveCallback("one_cycle rise=4"), watch], **saving).train(str(tmp_path / "checkpoint-5"))
    assert watch.lrs == pytest.approx(KINDS["one_cycle"](rise=4).bind(0.1, 12).table()[5:])
