"""Loss curves that obey a law, with noise, as runs under several schedules."""

import numpy as np

from lrtool.config.specs import as_schedule
from lrtool.theory.laws import Momentum, MultiPower, Units
from lrtool.theory.loss_curve import Changes, LossCurve

#: Units that the made-up laws are told in, and their parameters: L₀, A, α, B, then their own.
SCALE = Units(rate=0.1, used=100.0, updates=1500.0)
TRUE = {
    MultiPower: np.log([2.0, 0.3, 0.5, 0.25, 60.0, 0.8, 0.5]),
    Momentum: np.log([2.0, 0.3, 0.5, 0.25, 0.02]),
}
LAWS = {cls: cls() for cls in TRUE}


def rates(text, steps, peak=0.1):
    """The LRs of a schedule."""
    return as_schedule(text).bind(peak, steps).table()


def curve(law, text, steps=1500, noise=1e-3, every=10, seed=0, warmup=0):
    """A run under a schedule, as a law has it."""
    lrs = rates(text, steps)
    at = np.arange(max(warmup, every), steps + 1, every)
    losses = LAWS[law].loss(TRUE[law], Changes.of(lrs, warmup, at), SCALE)
    noisy = losses * np.exp(noise * np.random.default_rng([seed, steps, len(text)]).standard_normal(len(at)))
    return LossCurve(f"{text}-{steps}", lrs, at, noisy, warmup)


def three(law, **options):
    """Runs that tell a law: a constant LR, a cosine, a single step down."""
    texts = ("constant", "cosine final=10%", "multistep milestones=[700] gamma=0.3")
    return [curve(law, text, seed=seed, **options) for seed, text in enumerate(texts)]
