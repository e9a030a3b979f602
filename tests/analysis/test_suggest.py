from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import examples
from lrtool.analysis.smoothing import exponential
from lrtool.analysis.suggest import METHODS
from lrtool.analysis.suggest.lightning import Lightning
from lrtool.analysis.suggest.slide import Slide
from lrtool.analysis.suggest.stability import Stability
from lrtool.analysis.suggest.steepest import Steepest
from lrtool.analysis.suggest.valley import Valley, decreasing_lengths
from lrtool.errors import UsageError

# From a transcription of fastai's `valley`, `slide`, `minimum` and `steep` (callback/schedule.py, 2.7) to torch
# float32, not from the package itself, on the curves of conftest.py, after the same smoothing (0.98), stop and cuts.
FASTAI = {
    "typical": {"valley": 0.0174753, "slide": 0.0284804, "minimum": 0.12045, "steep": 0.0642807},
    "long": {"valley": 0.0110975, "slide": 0.160705, "minimum": 0.0811984, "steep": 0.0180419},
    "noisy": {"valley": 0.0205651, "slide": 0.0756463, "minimum": 0.12045, "steep": 0.0464159},
    "flat": {"valley": 0.327455, "slide": 0.385353, "minimum": 1.35305e-06, "steep": 5.99484e-06},
    "rising": {"valley": 8.11131e-05, "slide": 0.000673415, "minimum": 1.35305e-06, "steep": 5.99484e-06},
    "two valleys": {"valley": 0.033516, "slide": 0.0546228, "minimum": 0.231013, "steep": 1.02353},
}
PEERS = ["lightning", "minimum", "slide", "steep", "steepest", "valley"]


def method(kind):
    return METHODS[kind](kind=kind)


def test_every_method_is_found_by_name():
    assert list(METHODS.kinds) == sorted(METHODS.kinds) and {*PEERS, "stability"} <= METHODS.kinds.keys()
    with pytest.raises(UsageError, match="valley"):
        METHODS["valey"]


@pytest.mark.parametrize("curve", FASTAI)
@pytest.mark.parametrize("kind", ["valley", "slide", "minimum", "steep"])
def test_fastai_methods_equal_fastai(curves, curve, kind):
    losses = curves.named[curve]
    assert method(kind).one(curves.ramp(len(losses)), losses) == pytest.approx(FASTAI[curve][kind], rel=1e-5)


@pytest.mark.parametrize("curve", FASTAI)
def test_steepest_equals_torch_lr_finder(curves, curve):
    finder, lr = torch_lr_finder_run(curves.named[curve])
    recorded = np.array(finder.history["loss"])
    np.testing.assert_allclose(Steepest().curve(curves.named[curve]), recorded, rtol=1e-12)
    _, suggested = finder.plot(ax=DummyAxes())
    assert Steepest().one(lr, curves.named[curve]) == pytest.approx(suggested, rel=1e-9)


def torch_lr_finder_run(losses):
    """The real finder, fed with these losses: (finder, the LRs of its whole ramp)."""
    package = pytest.importorskip("torch_lr_finder")
    import torch

    data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.zeros(4, 1), torch.zeros(4)))

    def run(values):
        model = torch.nn.Linear(1, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-6)
        finder = package.LRFinder(model, optimizer, torch.nn.MSELoss())
        feed = iter(values.tolist())

        def next_loss(*args, **kwargs):
            optimizer.step()
            return next(feed)

        finder._train_batch = next_loss
        finder.range_test(data, end_lr=10, num_iter=len(values))
        return finder

    return run(losses), np.array(run(np.ones(len(losses))).history["lr"])


class DummyAxes:
    """Draws nothing; pretends to stand on its own so that the finder does not open a window."""

    figure = None

    def __getattr__(self, name):
        return lambda *args, **kwargs: None


def lightning_run(folder, max_lr, spoiled_at=-1, value=0.0):
    """Lightning's own test of 80 steps, in which one loss is `value`: (finder, raw losses)."""
    lightning = pytest.importorskip("lightning.pytorch")
    import torch

    class Module(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.net, self.lr, self.seen = torch.nn.Linear(4, 1), 1e-3, []

        def training_step(self, batch):
            x, y = batch
            loss = (self.net(x).squeeze(-1) - y).square().mean()
            if len(self.seen) == spoiled_at:
                loss = loss * 0 + value
            self.seen.append(float(loss.detach()))
            return loss

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=self.lr)

    torch.manual_seed(0)
    x = torch.randn(256, 4)
    data = torch.utils.data.TensorDataset(x, x @ torch.tensor([1.0, -2.0, 0.5, 3.0]))
    trainer = lightning.Trainer(
        max_epochs=99, default_root_dir=folder, logger=False, accelerator="cpu", enable_progress_bar=False,
        enable_model_summary=False, enable_checkpointing=False,
    )  # fmt: skip
    module = Module()
    finder = lightning.tuner.Tuner(trainer).lr_find(
        module, torch.utils.data.DataLoader(data, batch_size=16), num_training=80, min_lr=1e-5, max_lr=max_lr,
        update_attr=False,
    )  # fmt: skip
    return finder, np.array(module.seen)


@pytest.mark.parametrize(
    ("max_lr", "spoiled_at", "value"),
    [
        (0.3, -1, 0.0),
        (10.0, -1, 0.0),
        *((0.3, at, np.nan) for at in (0, 1, 9, 11, 12, 13, 40, 77, 78, 79)),
        *((0.3, at, np.inf) for at in (0, 1, 12, 13, 40, 79)),
        (0.3, 40, -np.inf),
        (10.0, 55, np.nan),
    ],
)
def test_lightning_equals_lightning(tmp_path, max_lr, spoiled_at, value):
    finder, seen = lightning_run(tmp_path, max_lr, spoiled_at, value)
    count = len(finder.results["loss"])
    lr, losses = np.array(finder.results["lr"])[:count], seen[:count]
    np.testing.assert_allclose(Lightning().curve(losses), finder.results["loss"], rtol=1e-9)
    suggested = finder.suggestion()
    assert Lightning().one(lr, losses) == (suggested and pytest.approx(suggested, rel=1e-9))
    if spoiled_at > 0:
        # What a range test hands on: NaN from the first loss that is not finite, up to the end of the ramp.
        known = np.where(np.arange(80) < spoiled_at, np.append(seen, np.zeros(80))[:80], np.nan)
        ramp = np.geomspace(1e-5, max_lr, 80)
        ramp[:count] = lr
        assert Lightning().one(ramp, known) == (suggested and pytest.approx(suggested, rel=1e-9))


@pytest.mark.parametrize("tail", [1, 3, 5, 8])
@pytest.mark.parametrize("kind", ["valley", "slide", "minimum", "steep"])
def test_fastai_cuts_its_last_5_points_before_it_drops_nan(curves, kind, tail):
    losses = np.append(curves.named["typical"][:60], np.full(tail, np.nan))
    lr = curves.ramp(len(losses))
    whole = exponential(losses, 0.98)
    kept = slice(len(lr) // 10, -5)
    finite = np.isfinite(whole[kept])
    assert finite.sum() == 60 - len(lr) // 10 - max(5 - tail, 0)
    assert method(kind).one(lr, losses) == method(kind).pick(lr[kept][finite], whole[kept][finite])


@given(st.lists(st.integers(-5, 5).map(float), min_size=1, max_size=30))
@settings(max_examples=examples(200), deadline=None)
def test_decreasing_lengths_equal_the_quadratic_definition(values):
    lengths = []
    for i, value in enumerate(values):
        lengths.append(1 + max((lengths[j] for j in range(i) if values[j] > value), default=0))
    assert decreasing_lengths(np.array(values)).tolist() == lengths


def test_peers_have_no_answer_where_they_raise(curves):
    for kind in PEERS:
        assert method(kind).suggest(curves.ramp(6), np.ones((2, 6))).lr is None
    lr, losses = curves.typical(seeds=1)
    losses[0, 3:] = np.nan
    assert [method(kind).one(lr, losses[0]) for kind in PEERS] == [None] * len(PEERS)


def test_slide_needs_its_window(curves):
    assert Slide().pick(curves.ramp(15), np.ones(15)) is None
    assert Slide().pick(curves.ramp(16), np.ones(16)) == pytest.approx(1e-6)


def test_suggestion_over_seeds_is_the_geometric_median(curves):
    lr, losses = curves.typical(seeds=5)
    said = method("minimum").suggest(lr, losses)
    assert said.lr == pytest.approx(np.median(said.per_seed))
    assert len(said.per_seed) == 5


def test_no_answers_are_none(curves):
    said = Stability().suggest(*curves.flat())
    assert said.lr is None and np.isnan(said.per_seed).all()


# What misleads the peers does not mislead ours.


@pytest.mark.parametrize("shape", ["flat", "rising"])
def test_flat_and_rising_curves_get_an_answer_from_every_peer_and_none_from_ours(curves, shape):
    lr, losses = getattr(curves, shape)(seeds=5)
    assert all(method(kind).suggest(lr, losses).lr is not None for kind in PEERS)
    assert Stability().suggest(lr, losses).lr is None


def test_ours_hardly_moves_with_noise_that_scatters_gradients(curves):
    def decades(kind):
        answers = [method(kind).suggest(*curves.typical(seeds=3, noise=0.3, seed=seed)).lr for seed in range(12)]
        return np.ptp(np.log10(answers))

    assert decades("stability") < 0.5
    assert decades("steep") > 0.5
    assert decades("lightning") > 0.5


def test_gradient_per_lr_is_misled_by_noise_at_small_lrs_and_ours_is_not(curves):
    lr, losses = curves.typical(seeds=3, noise=0.1)
    assert method("lightning").suggest(lr, losses).lr < 1e-4
    assert 0.02 < Stability().suggest(lr, losses).lr < 0.2


def test_valley_counts_back_over_a_rise_and_ours_does_not(curves):
    lr, losses = curves.ramp(100), curves.two_valleys()
    answer = int(np.searchsorted(lr, Valley().pick(lr, losses[:90]) * 0.999))
    assert 50 < answer < 80
    assert losses[answer - 1] < losses[answer] < losses[answer + 1]
    ours = Stability().suggest(lr, np.stack([losses] * 3)).lr
    assert lr[90] / 16 < ours < lr[91] / 4


@pytest.mark.parametrize("factor,offset", [(1.0, -50.0), (1000.0, 0.0), (0.001, -5.0)])
def test_ours_does_not_depend_on_unit_or_zero_of_the_loss(curves, factor, offset):
    lr, losses = curves.typical()
    expected = Stability().suggest(lr, losses).lr
    assert Stability().suggest(lr, factor * losses + offset).lr == pytest.approx(expected)


def test_peers_stop_at_once_on_a_negative_loss(curves):
    lr, losses = curves.typical(offset=-5.0)
    assert [method(kind).suggest(lr, losses).lr for kind in ("valley", "steepest")] == [None, None]


def test_ours_is_the_same_for_short_and_long_ramps(curves):
    answers = [Stability().suggest(*curves.typical(steps=steps, seed=1)).lr for steps in (60, 100, 200, 400)]
    assert max(a / b for a, b in pairwise(sorted(answers))) < 1.7


def test_settings_are_checked():
    with pytest.raises(ValueError, match="divide"):
        Stability(divide=0.5)
    assert SimpleNamespace(**Stability().model_dump()).kind == "stability"
