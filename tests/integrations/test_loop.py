"""Range tests around loops of one's own, and of what accelerate prepared: all is put back, whatever happens."""

import pytest
import torch
from torch.nn.functional import mse_loss

from lrtool.errors import TaskError, UsageError
from lrtool.integrations.loop import RangeTest
from lrtool.live.curve_lr import CurveLR
from lrtool.live.peak import set_peak

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def live(loader):
    torch.manual_seed(0)
    model = torch.nn.Linear(3, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.5)
    mse_loss(model(next(iter(loader))[0]), torch.zeros(16, 1)).backward()
    optimizer.step()
    return model, optimizer


def body(model, optimizer, test, batch):
    loss = mse_loss(model(batch[0]), batch[1])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    test.record(loss)


def test_a_loop(live, loader, quick, digest):
    model, optimizer = live
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 3)
    before, lrs = digest(model, optimizer, [scheduler], loader), []
    with RangeTest(model, optimizer, **quick) as test:
        for batch in test(loader):
            body(model, optimizer, test, batch)
            lrs.append(test.lr)
    assert digest(model, optimizer, [scheduler], loader) == before
    assert lrs[4:][: len(test.result.found.losses[0])] == pytest.approx(test.result.found.lr[: len(lrs) - 4])
    assert 0.01 < test.suggested_lr < 10
    assert test.interval[0] <= test.suggested_lr
    test.apply()
    assert optimizer.param_groups[0]["lr"] == scheduler.base_lrs[0] == test.suggested_lr


def test_short_trainings_begin_again_and_again(live, loader, quick):
    model, optimizer = live
    first, start = [], model.weight.detach().clone()
    options = {"quick": False, "probe_steps": 20, "duration": 40, "budget": 20}
    with RangeTest(model, optimizer, **(quick | options)) as test:
        for batch in test(loader):
            first.append(torch.equal(model.weight, start))
            body(model, optimizer, test, batch)
    trainings = test.result.summary["cost"]["trials"]
    assert trainings > 5
    assert sum(first) >= trainings
    assert "short trainings" in test.result.summary["stability_from"]


def test_batches_that_come_once_give_the_ramp_alone(live, loader, quick):
    model, optimizer = live
    taken = iter([batch for _ in range(6) for batch in loader])
    with RangeTest(model, optimizer, **(quick | {"quick": False})) as test:
        for batch in test(taken):
            body(model, optimizer, test, batch)
    assert any("only the ramp was made" in note for note in test.result.notes)
    assert test.result.summary["suggested_from"] in ("the ramp alone", None)


def test_two_networks_and_what_else_is_named(loader, quick, digest):
    """One network's LR is tested; the other one trains at its own, and both begin again with each training."""
    torch.manual_seed(0)
    one, two = torch.nn.Linear(3, 2), torch.nn.Linear(2, 1)
    mine, other = torch.optim.SGD(one.parameters(), lr=0.01), torch.optim.Adam(two.parameters(), lr=0.02)
    average = torch.optim.swa_utils.AveragedModel(one)
    both = torch.nn.ModuleList([one, two])
    before = digest(both, mine), digest(average, other)
    with RangeTest([one, two], mine, preserve=[other, average], **quick) as test:
        for x, y in test(loader):
            loss = mse_loss(two(one(x)), y)
            for each in (mine, other):
                each.zero_grad()
            loss.backward()
            mine.step(), other.step()
            average.update_parameters(one)
            assert other.param_groups[0]["lr"] == 0.02
            test.record(loss)
    assert (digest(both, mine), digest(average, other)) == before


def test_accumulation_counts_in_updates(live, loader, quick):
    model, optimizer = live
    lrs = []
    with RangeTest(model, optimizer, accumulate=4, **(quick | {"end": 1e-3})) as test:
        for x, y in test(loader):
            lrs.append(test.lr)
            test.step(mse_loss(model(x), y))
    assert len(lrs) == 4 * (4 + 40)
    assert lrs[16:] == pytest.approx(test.result.found.lr.repeat(4))


@pytest.mark.parametrize("at", [1, 3, 6, 30])
@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, None])
def test_what_breaks_off_changes_nothing(at, error, live, loader, quick, digest):
    model, optimizer = live
    before, seen = digest(model, optimizer, loader=loader), []

    def run():
        with RangeTest(model, optimizer, **quick) as test:
            for batch in test(loader):
                body(model, optimizer, test, batch)
                seen.append(batch)
                if len(seen) == at:
                    if error is not None:
                        raise error
                    break
        return test

    if error is None:
        with pytest.raises(UsageError, match="without a break"):
            _ = run().suggested_lr
    else:
        with pytest.raises(error):
            run()
    assert digest(model, optimizer, loader=loader) == before


def test_what_a_body_forgets(live, loader, quick):
    model, optimizer = live
    with pytest.raises(UsageError, match=r"said no loss.*test\.record"), RangeTest(model, optimizer, **quick) as test:
        for _ in test(loader):
            pass
    with pytest.raises(TaskError, match="ended after 0 of 4 updates"), RangeTest(model, optimizer, **quick) as test:
        for _ in test([]):
            pass
    with pytest.raises(UsageError, match="trains no parameter"):
        RangeTest(torch.nn.Linear(1, 1), optimizer)


@pytest.mark.parametrize(
    "make",
    [
        lambda o: torch.optim.lr_scheduler.LambdaLR(o, lambda t: min(1.0, (t + 1) / 8)),
        lambda o: torch.optim.lr_scheduler.OneCycleLR(o, 0.02, total_steps=12),
        lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 12),
        lambda o: torch.optim.lr_scheduler.SequentialLR(
            o, [torch.optim.lr_scheduler.LinearLR(o), torch.optim.lr_scheduler.ExponentialLR(o, 0.9)], [4]
        ),
        lambda o: CurveLR(o, "cosine warmup=4", 12),
    ],
)
@pytest.mark.parametrize("done", [0, 3])
def test_schedulers_go_on_as_if_made_with_the_new_peak(make, done):
    def lrs(optimizer, scheduler, steps):
        found = []
        for _ in range(steps):
            found.append([group["lr"] for group in optimizer.param_groups])
            optimizer.step(), scheduler.step()
        return found

    def made():
        groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": lr} for lr in (0.02, 0.002)]
        optimizer = torch.optim.SGD(groups)
        return optimizer, make(optimizer)

    plain, (optimizer, scheduler) = lrs(*made(), 10), made()
    lrs(optimizer, scheduler, done)
    peak = optimizer.param_groups[0].get("initial_lr")
    set_peak(optimizer, 3 * peak)
    rest = lrs(optimizer, scheduler, 10 - done)
    assert rest == [pytest.approx([3 * lr for lr in row], rel=1e-3, abs=1e-6) for row in plain[done:]]


class TestAccelerate:
    """What accelerate prepared."""

    @pytest.fixture
    def prepared(self, loader):
        accelerate = pytest.importorskip("accelerate", reason="needs accelerate")

        def make(**options):
            accelerate.state.AcceleratorState._reset_state(True)
            accelerate.state.GradientState._reset_state()
            accelerator = accelerate.Accelerator(cpu=True, **options)
            torch.manual_seed(0)
            model = torch.nn.Linear(3, 1)
            optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
            return accelerator, *accelerator.prepare(model, optimizer, loader)

        return make

    @staticmethod
    def loss(model, batch):
        return mse_loss(model(batch[0]), batch[1])

    @pytest.mark.parametrize("options", [{}, {"mixed_precision": "bf16"}, {"gradient_accumulation_steps": 3}])
    def test_everything_is_as_it_was(self, options, prepared, quick, digest):
        from lrtool.integrations.accelerate import range_test

        def held():
            states = vars(accelerator), vars(accelerator.gradient_state), vars(optimizer)
            return digest(model, optimizer.optimizer), [{k: repr(v) for k, v in each.items()} for each in states]

        accelerator, model, optimizer, loader = prepared(**options)
        before = held()
        found = range_test(accelerator, model, optimizer, loader, self.loss, **quick)
        assert held() == before
        found.apply(optimizer)
        assert optimizer.param_groups[0]["lr"] == found.suggested_lr

    def test_lrs_move_with_updates(self, prepared, quick):
        """An update takes so many batches, and the last one of an epoch those that are left (#963, #1382)."""
        from lrtool.integrations.accelerate import range_test

        accelerator, model, optimizer, loader = prepared(gradient_accumulation_steps=3)
        seen = []

        def loss(model, batch):
            seen.append(optimizer.param_groups[0]["lr"])
            return self.loss(model, batch)

        quick |= {"steps": 21, "end": 1e-3}
        found = range_test(accelerator, model, optimizer, loader, loss, **quick)
        # Eight batches an epoch are updates of 3, 3 and 2; first come four updates that are timed.
        assert len(seen) == 11 + 7 * 8
        assert len(found.found.losses[0]) == 21

    def test_what_cannot_be_tested(self, prepared, quick):
        from lrtool.integrations.accelerate import range_test

        accelerator, model, optimizer, loader = prepared()
        with pytest.raises(UsageError, match="was not prepared"):
            range_test(accelerator, model, optimizer.optimizer, loader, **quick)
        with pytest.raises(UsageError, match="has no loss"):
            range_test(accelerator, model, optimizer, [loader.dataset.tensors[:1]] * 3, **quick)
