"""Optimizers of the user's own and torch's own: what may run, what it is given, what is refused, what is resumed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from lrtool.config.document import parse_document
from lrtool.config.load import validate
from lrtool.engine.loop.checkpoint import Checkpoint
from lrtool.engine.loop.engine import LoopEngine
from lrtool.engine.loop.training import Training
from lrtool.engine.vector.proof.stackable import why_not_stackable
from lrtool.errors import TaskError, UsageError
from lrtool.experiments.setup import Setup, prepare

OWN = '''
import torch

class Slow(torch.optim.Optimizer):
    """SGD whose weights are averaged with nested state of every kind, as Lookahead and SOAP keep."""

    def __init__(self, params, lr, k=3, cls=None):
        super().__init__(params, dict(lr=lr, k=k))
        self.calls = 0

    @torch.no_grad()
    def step(self, closure=None):
        self.calls += 1
        for group in self.param_groups:
            for p in group["params"]:
                state = self.state[p]
                if not state:
                    state.update(slow={"weights": [p.clone()], 7: (p.clone(), 2, None)}, name="slow", n=0)
                p -= group["lr"] * p.grad
                state["n"] += 1
                state["slow"]["weights"][0].lerp_(p, 0.5)
                if state["n"] % group["k"] == 0:
                    p.copy_(state["slow"]["weights"][0])

    def state_dict(self):
        return {**super().state_dict(), "calls": self.calls, "seen": [torch.tensor([self.calls])]}

    def load_state_dict(self, state):
        self.calls = state.pop("calls")
        assert state.pop("seen")[0].item() == self.calls
        super().load_state_dict(state)

class Sets(Slow):
    def step(self, closure=None):
        super().step()
        for group in self.param_groups:
            for p in group["params"]:
                self.state[p]["bad"] = {1, 2}

class Closing(torch.optim.Optimizer):
    def __init__(self, params, lr=1.0):
        super().__init__(params, dict(lr=lr))

    def step(self, closure):
        return closure()

def made(params, lr, momentum=0.0):
    return torch.optim.SGD(params, lr=lr, momentum=momentum)

def none(params, lr):
    return "no optimizer"

def broken(params, lr):
    raise ValueError("no such thing")

number = 3
'''


BIASES = {"match": "*.bias", "lr": 0.5, "schedule": "cosine"}


def setup(tmp_path: Path, allow: frozenset[str] = frozenset(), **optimizer: Any) -> Setup:
    (tmp_path / "opt.py").write_text(OWN)
    text = yaml.safe_dump({
        "model": {"kind": "mlp", "hidden": [8]},
        "data": {"kind": "spirals", "samples": 240, "batch_size": 24},
        "optimizer": {"lr": 0.05, **optimizer},
        "schedule": "linear",
        "train": {"duration": 20, "eval_every": 0},
    })  # fmt: skip
    return prepare(validate(parse_document(text, "c.yaml")).beside(tmp_path), allow)


def losses(made: Setup) -> list[float]:
    (trace,) = LoopEngine().run(made.task, [made.trial(0, 0.05)], made.recipe)
    return trace.train_loss.tolist()  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("own", "builtin"),
    [
        ({"use": "torch.optim:SGD", "args": {"momentum": 0.9}}, {"kind": "sgd", "momentum": 0.9}),
        ({"use": "opt.py:made", "args": {"momentum": 0.5}}, {"kind": "sgd", "momentum": 0.5}),
        ({"use": "torch.optim:AdamW", "weight_decay": 0.1}, {"kind": "adamw", "weight_decay": 0.1}),
        ({"use": "torch.optim:AdamW", "args": {"weight_decay": 0.1}}, {"kind": "adamw", "weight_decay": 0.1}),
        (
            {"use": "torch.optim:NAdam", "args": {"decoupled_weight_decay": True, "weight_decay": 0.01}},
            {"kind": "nadamw"},
        ),
        (
            {"use": "torch.optim:SGD", "layer_decay": 0.5, "groups": [BIASES]},
            {"kind": "sgd", "layer_decay": 0.5, "groups": [BIASES]},
        ),
    ],
)  # fmt: skip
def test_it_trains_as_the_built_in_one(own: dict[str, Any], builtin: dict[str, Any], tmp_path: Path) -> None:
    assert losses(setup(tmp_path, **own)) == losses(setup(tmp_path, **builtin))


@pytest.mark.parametrize("name", ["Adadelta", "Adamax", "ASGD", "RAdam", "Rprop", "Adam", "Adagrad", "Adafactor"])
def test_torchs_own_need_no_leave_and_resume(name: str, tmp_path: Path) -> None:
    resumed_is_exact(setup(tmp_path, use=f"torch.optim:{name}"))


@pytest.mark.parametrize("args", [{}, {"k": 5}])
def test_state_of_ones_own_is_kept_however_it_is_nested(args: dict[str, Any], tmp_path: Path) -> None:
    resumed_is_exact(setup(tmp_path, use="opt.py:Slow", args=args))


def resumed_is_exact(made: Setup) -> None:
    saved: list[Checkpoint] = []
    engine = LoopEngine(checkpoint=lambda _, c: saved.append(c), checkpoint_every=7)
    (whole,) = engine.run(made.task, [made.trial(0, 0.05)], made.recipe)
    (resumed,) = LoopEngine(resume={0: saved[0]}).run(made.task, [made.trial(0, 0.05)], made.recipe)
    assert resumed.train_loss.tolist() == whole.train_loss.tolist() and whole.train_loss[-1] != whole.train_loss[0]


def test_what_a_checkpoint_cannot_hold_is_named(tmp_path: Path) -> None:
    made = setup(tmp_path, use="opt.py:Sets")
    training = Training(made.task, made.trial(0, 0.05), made.recipe)
    training.advance()
    with pytest.raises(
        TaskError, match=r"optimizer's 0/bad is a set, which a checkpoint cannot hold.*keep tensors, arrays, num"
    ):
        training.snapshot()


def test_it_does_not_stack_and_says_so(tmp_path: Path) -> None:
    made = setup(tmp_path, use="torch.optim:NAdam")
    assert "torch.optim:NAdam" in str(why_not_stackable(made.task, made.recipe))


@pytest.mark.parametrize(
    ("optimizer", "words"),
    [
        ({"use": "torch.optim:LBFGS"}, "LBFGS needs a closure.*write adamw, or an optimizer whose step"),
        ({"use": "opt.py:Closing"}, "Closing needs a closure"),
        ({"use": "torch.optim:Adm"}, "torch.optim has no 'Adm'.*did you mean 'Adam'"),
        ({"use": "opt.py:Slw"}, "did you mean 'Slow'"),
        ({"use": "opt.py:number"}, "opt.py:number is no class or function"),
        ({"use": "torch.optim.lr_scheduler:StepLR"}, "allow it with --allow-import"),
        ({"use": "somewhere:Opt"}, "nor a package .somewhere., which it may not run unasked.*--allow-import somewhere"),
        ({"use": "opt.py:Slow", "args": {"kk": 1}}, r"does not take these args: .*'kk'.*its signature is Slow"),
        ({"use": "opt.py:Slow", "args": {"lr": 1}}, r"optimizer\.args\.lr.*lr stands in args and beside it"),
        ({"use": "torch.optim:AdamW", "weight_decay": 0.1, "args": {"weight_decay": 1}}, r"args\.weight_decay"),
        ({"use": "torch.optim.NAdam"}, "is not a target"),
    ],
)
def test_what_cannot_train_is_refused_with_what_to_write(optimizer: Any, words: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=words):
        setup(tmp_path, **optimizer)


@pytest.mark.parametrize(
    ("name", "words"), [("none", "opt.py:none returned str, not a torch"), ("broken", "ValueError: no such thing")]
)
def test_what_fails_when_it_is_made_names_the_target(name: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=words):
        losses(setup(tmp_path, use=f"opt.py:{name}"))


SPARSE = """
import torch

def load():
    words = torch.arange(160).reshape(40, 4) % 7
    return words, words.sum(1) % 2

class Net(torch.nn.Module):
    def __init__(self, sparse=True):
        super().__init__()
        self.table = torch.nn.Embedding(7, 4, sparse=sparse)
        self.head = torch.nn.Linear(16, 2)

    def forward(self, x):
        return self.head(self.table(x).flatten(1))
"""


@pytest.mark.parametrize("clip", [None, 0.5])
def test_sparse_adam_has_adam_beside_it(clip: float | None, tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(SPARSE)

    def made(optimizer: dict[str, Any], sparse: bool) -> Setup:
        text = yaml.safe_dump({
            "model": {"use": "net.py:Net", "args": {"sparse": sparse}},
            "data": {"use": "net.py:load", "batch_size": 32},
            "optimizer": {"lr": 0.05, **optimizer},
            "train": {"duration": 20, "eval_every": 0, "clip_norm": clip, "grad_norm": True},
        })  # fmt: skip
        return prepare(validate(parse_document(text, "c.yaml")).beside(tmp_path))

    sparse = made({"use": "torch.optim:SparseAdam", "args": {"betas": [0.9, 0.99]}}, sparse=True)
    # Every row is looked up in every batch, so that both are the same.
    assert losses(sparse) == pytest.approx(losses(made({"kind": "adam", "beta2": 0.99}, sparse=False)), rel=1e-4)
    resumed_is_exact(sparse)
    resumed_is_exact(made({"kind": "sgd", "momentum": 0.0}, sparse=True))


def test_other_hyperparameters_cannot_be_scheduled(tmp_path: Path) -> None:
    text = "optimizer: {use: 'torch.optim:Adam', lr: 0.1}\nschedules: {weight_decay: cosine}\nmodel: mlp\ndata: spirals"
    with pytest.raises(UsageError, match=r"schedules\.weight_decay"):
        validate(parse_document(text, "c.yaml"))
    assert torch.optim.NAdam is not None
