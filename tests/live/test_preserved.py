# ruff: noqa: NPY002 - what a user draws from the global state has to be put back
"""Whatever happens inside, live objects are afterwards as they were: bit for bit, the same objects, every time."""

import os
import random
import signal
import sys
import threading
import time

import numpy as np
import pytest
import torch
from torch import nn

from lrtool.live import preserved as module
from lrtool.live.preserved import attached_schedulers, preserved
from tests.live.digests import digest, trained


def wreck(model, optimizer, scheduler, loader):
    """Train, and disturb everything else."""
    for x, y in list(loader)[:1]:
        nn.functional.cross_entropy(model.train()(x), y).backward()
        optimizer.step()
        scheduler.step()
    model.eval()
    model.head.weight.requires_grad_(False)
    model.head.register_forward_hook(lambda *_: None)
    model.extra = torch.zeros(2)
    model.register_buffer("more", torch.ones(3))
    del model.seen
    optimizer.param_groups[0]["lr"] = 7.0
    optimizer.add_param_group({"params": [nn.Parameter(torch.zeros(1))]})
    optimizer.register_step_post_hook(lambda *_: None)
    torch.manual_seed(5), np.random.seed(5), random.seed(5)
    torch.set_autocast_enabled("cpu", True), torch.set_grad_enabled(False)


@pytest.mark.parametrize("keep", ["cpu", "disk"])
@pytest.mark.parametrize(
    ("cls", "options"),
    [
        (torch.optim.SGD, {"momentum": 0.9}),
        (torch.optim.AdamW, {"fused": True}),
        (torch.optim.AdamW, {"amsgrad": True, "foreach": True}),
        (torch.optim.Adagrad, {}),
        (torch.optim.RAdam, {}),
    ],
)
def test_everything_is_as_it_was(cls, options, keep):
    model, optimizer, scheduler, loader = trained(cls, **options)
    before = digest(model, optimizer, [scheduler], loader)
    with preserved(model, optimizer, None, [loader], keep=keep):
        wreck(model, optimizer, scheduler, loader)
    assert digest(model, optimizer, [scheduler], loader) == before


def test_a_digest_sees_each_change():
    model, optimizer, scheduler, loader = trained()
    seen = {digest(model, optimizer, [scheduler], loader)}
    for change in (
        lambda: model.head.weight.data.add_(1),
        lambda: model.head.weight.grad.add_(1),
        lambda: model.seen.append(1),
        lambda: model.head.eval(),
        lambda: optimizer.state[model.head.weight]["exp_avg"].add_(1),
        lambda: optimizer.param_groups[1].update(lr=1.0),
        lambda: scheduler.step(),
        lambda: torch.rand(1),
        lambda: np.random.rand(),
        lambda: random.random(),
        lambda: loader.generator.manual_seed(9),
        lambda: model.body[0].bias.requires_grad_(True),
    ):
        change()
        now = digest(model, optimizer, [scheduler], loader)
        assert now not in seen
        seen.add(now)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_after_an_exception_too(error):
    model, optimizer, scheduler, loader = trained()
    before = digest(model, optimizer, [scheduler], loader)
    with pytest.raises(error), preserved(model, optimizer, None, [loader]):
        wreck(model, optimizer, scheduler, loader)
        raise error("stop")
    assert digest(model, optimizer, [scheduler], loader) == before


class Raiser:
    """Raises once, at the n-th call of a function in lrtool/live."""

    def __init__(self, at, error):
        self.at, self.error, self.calls = at, error, 0

    def __call__(self, frame, event, argument):
        if event == "call" and f"{os.sep}lrtool{os.sep}live{os.sep}" in frame.f_code.co_filename:
            self.calls += 1
            if self.calls == self.at:
                raise self.error("injected")


def run(objects, raiser):
    model, optimizer, _, loader = objects
    sys.settrace(raiser)
    try:
        with preserved(model, optimizer, None, [loader]) as state:
            wreck(*objects)
            state.rewind()
            torch.set_grad_enabled(True)
            wreck(*objects)
    finally:
        sys.settrace(None)


def test_wherever_it_is_broken_into(monkeypatch):
    """At every call of a function of its own, from the first to the last (here at some of them)."""
    objects = trained()
    model, optimizer, scheduler, loader = objects
    # To look for schedulers takes longer than all else.
    monkeypatch.setattr(module, "attached_schedulers", lambda _: [scheduler])
    counter = Raiser(0, KeyboardInterrupt)
    before = digest(model, optimizer, [scheduler], loader)
    run(objects, counter)
    assert digest(model, optimizer, [scheduler], loader) == before and counter.calls > 100
    raised = 0
    points = range(1, counter.calls + 1, 1 if os.environ.get("LRTOOL_EVERY_POINT") else 41)
    for at in (*points, *range(counter.calls - 30, counter.calls + 1, 2)):
        try:
            run(objects, Raiser(at, KeyboardInterrupt))
        except KeyboardInterrupt:
            raised += 1
        assert digest(model, optimizer, [scheduler], loader) == before, at
    assert raised >= len(points)


def test_signals_while_it_is_put_back_wait(monkeypatch):
    model, optimizer, scheduler, loader = trained()
    before = digest(model, optimizer, [scheduler], loader)
    original = module.Preserved.put_back

    def interrupted(state):
        signal.raise_signal(signal.SIGINT)
        original(state)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(module.Preserved, "put_back", interrupted)
    with pytest.raises(KeyboardInterrupt), preserved(model, optimizer, None, [loader]):
        wreck(model, optimizer, scheduler, loader)
    assert digest(model, optimizer, [scheduler], loader) == before
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_signals_at_any_time(quiet_collector):
    objects = trained()
    model, optimizer, scheduler, loader = objects
    before = digest(model, optimizer, [scheduler], loader)
    came = 0
    for number in range(12):
        timer = threading.Timer(0.002 * number, os.kill, (os.getpid(), signal.SIGINT))
        try:
            try:
                timer.start()
                with preserved(model, optimizer, None, [loader]):
                    train_until(time.monotonic() + 5, model, optimizer, loader)
            finally:
                timer.join()
        except KeyboardInterrupt:
            came += 1
        assert digest(model, optimizer, [scheduler], loader) == before
    # Python itself loses what comes while a finaliser runs.
    assert came >= 6


def train_until(end, model, optimizer, loader):
    while time.monotonic() < end:
        for x, _ in loader:
            model(x).sum().backward()
            optimizer.step()


def test_what_cannot_be_put_back_keeps_nothing_else_from_it(caplog):
    class Stubborn:
        def state_dict(self):
            return {}

        def load_state_dict(self, state):
            raise RuntimeError("not now")

    model, optimizer, scheduler, loader = trained()
    before = digest(model, optimizer, [scheduler], loader)
    with pytest.raises(RuntimeError, match="not now"), preserved(model, optimizer, None, [loader], [Stubborn()]):
        wreck(model, optimizer, scheduler, loader)
    assert digest(model, optimizer, [scheduler], loader) == before
    assert "could not be put back: not now" in caplog.text


def test_a_rewound_model_begins_again_without_gradients():
    model, optimizer, _, _ = trained()
    weights = [p.detach().clone() for p in model.parameters()]
    with preserved(model, optimizer) as state:
        for parameter in model.parameters():
            parameter.data.add_(1)
        state.rewind()
        assert all(torch.equal(a, b) for a, b in zip(weights, model.parameters(), strict=True))
        assert all(parameter.grad is None for parameter in model.parameters())


def test_a_loss_with_parameters_and_other_objects_are_put_back_too():
    model, optimizer, _, _ = trained()
    loss, averaged, scaler = nn.Linear(2, 1), torch.optim.swa_utils.AveragedModel(model), torch.amp.GradScaler("cpu")

    def now():
        others = [dict(loss.named_parameters()), dict(averaged.named_parameters()), dict(averaged.named_buffers())]
        return digest(model, optimizer, others=[*others, scaler.state_dict()])

    before = now()
    with preserved(model, optimizer, loss, others=[averaged, scaler]):
        averaged.update_parameters(model)
        loss.weight.data.zero_()
        scaler.load_state_dict({**scaler.state_dict(), "scale": 3.0, "_growth_tracker": 2})
    assert now() == before


def test_generators_that_data_have_are_put_back():
    class Noisy(torch.utils.data.Dataset):
        def __init__(self):
            self.noise, self.dice, self.calls = np.random.default_rng(3), random.Random(4), 0

        def __getitem__(self, index):
            self.calls += 1
            return self.noise.random() + self.dice.random()

        def __len__(self):
            return 9

    data = torch.utils.data.Subset(Noisy(), [1, 2])
    expected = (data.dataset.noise.bit_generator.state, data.dataset.dice.getstate())
    with preserved(data=[data]):
        data[0], data[1]
    assert (data.dataset.noise.bit_generator.state, data.dataset.dice.getstate()) == expected
    assert data.dataset.calls == 0


def test_data_that_say_where_they_stand_are_told():
    class Loader:
        def __init__(self):
            self.at = 3

        def state_dict(self):
            return {"at": self.at}

        def load_state_dict(self, state):
            self.at = state["at"]

        def __iter__(self):
            while True:
                self.at += 1
                yield self.at

    loader = Loader()
    with preserved(data=[loader]):
        next(iter(loader))
    assert loader.at == 3


def test_the_schedulers_of_an_optimizer_are_found():
    _, optimizer, scheduler, _ = trained()
    _, other, *_ = trained()
    assert attached_schedulers(optimizer) == [scheduler] and scheduler not in attached_schedulers(other)


def test_gradients_of_an_accelerator_wait_on_the_host(monkeypatch):
    """Here a CPU's stand in for them."""
    model, _, _, _ = trained()
    gradient = model.head.weight.grad
    content = gradient.clone()
    with preserved(model):
        assert model.head.weight.grad is None
    assert model.head.weight.grad is gradient and torch.equal(gradient, content)
