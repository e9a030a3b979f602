"""How often the comparison's 95% intervals cover the truth, and how often equal variants are told apart.

Run: python tests/benchmarks/comparison_coverage.py [repeats]. Wanted are 93–97% coverage and at most 5% of false
findings; a line fails where it misses that by more than two standard errors. Values of a seed share its luck. What is
wanted of no method that knows nothing of the noise is printed without a verdict: see `student.usable`.
There the seeds are to be marked, and medians are to hold: wanted are at least 93% for the medians' intervals with every
noise, 93–98% for the mean of accuracies near 1, and at most 5% of normal variants marked.

The simulation works on whole tables. That it does what a user's comparison does is checked first, on some of its own
rows, against `estimate`, `difference` and `compare`.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np
from scipy import special

from lrtool.analysis.statistics.comparison import compare, difference
from lrtool.analysis.statistics.look import look
from lrtool.analysis.statistics.ranks import median_interval, shift
from lrtool.analysis.statistics.student import bounded_estimate, estimate, quantile, usable

NOISE = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "uniform": lambda rng, shape: rng.uniform(-np.sqrt(3), np.sqrt(3), shape),
    "lognormal, σ 0.3": lambda rng, shape: (rng.lognormal(0, 0.3, shape) - np.exp(0.045)) / 0.3209,
    "Laplace": lambda rng, shape: rng.laplace(0, np.sqrt(0.5), shape),
    "exponential": lambda rng, shape: rng.exponential(size=shape) - 1,
}
#: Skewed too much for any interval of t's form; its differences are Laplace.
UNJUDGED = ("exponential",)
#: With these the mean of few seeds is covered more often than wanted, which errs on the safe side.
HEAVY = ("Laplace", "exponential")
#: Part of comparisons in which all seeds have the same accuracy, so that no interval is given: beyond, unjudged.
_TOO_COARSE = 0.05
SEEDS, EFFECTS, CHECKED = (2, 3, 4, 5, 10, 30), (0.0, 0.4, 1.0), 200


def one_in_ten(rng, shape):
    """Normal values of which one in ten lies 8 deviations off."""
    return rng.normal(size=shape) + 8 * (rng.random(shape) < 0.1)


#: Noise that a mean's interval does not bear, with its median.
ODD = {
    "one in ten an outlier": one_in_ten,
    "lognormal, σ 0.5": lambda rng, shape: rng.lognormal(0, 0.5, shape),
    "lognormal, σ 1": lambda rng, shape: rng.lognormal(0, 1, shape),
    "exponential": lambda rng, shape: rng.exponential(size=shape),
}
#: Accuracies: their mean, and how they are drawn. σ: the spread of the error, in parts of it.
ACCURACIES = {
    **{
        f"accuracy {mean}, beta, σ {spread}": (mean, lambda rng, shape, m=mean, s=spread: beta(rng, shape, m, s))
        for mean in (0.98, 0.99, 0.999)
        for spread in (0.2, 0.5, 1.0)
    },
    **{
        f"accuracy {mean} of {samples} samples": (
            mean,
            lambda rng, shape, m=mean, n=samples: rng.binomial(n, m, shape) / n,
        )
        for mean in (0.98, 0.99, 0.999)
        for samples in (360, 1000, 10_000)
    },
}


def beta(rng, shape, mean: float, spread: float):
    """Accuracies around `mean`, their standard deviation `spread` times the mean error."""
    total = mean / ((1 - mean) * spread**2) - 1
    return rng.beta(mean * total, (1 - mean) * total, shape)


@dataclass
class Tally:
    """Whether every line so far is as wanted."""

    failed: int = 0

    def line(self, what: str, share: float, repeats: int, low: float, high: float, judged: bool = True) -> None:
        """Print a share with its standard error and the verdict."""
        error = np.sqrt(share * (1 - share) / repeats)
        bad = not low - 2 * error <= share <= high + 2 * error
        self.failed += judged and bad
        verdict = "" if not judged else "FAIL" if bad else "PASS"
        print(f"{what:<84} {share:6.2%} ± {error:.2%}  {verdict}")


def drawn(noise: str, seeds: int, effect: float, repeats: int):
    """Two variants, (repeats, seeds) each: the second larger by `effect`; and the first's own noise around 5."""
    rng = np.random.default_rng([seeds, int(100 * effect), list(NOISE).index(noise)])
    own = NOISE[noise](rng, (2, repeats, seeds)) * 0.5
    luck = rng.normal(size=(repeats, seeds))
    return 5 + luck + own[0], 5 + effect + luck + own[1], 5 + own[0]


def covered(values, truth: float):
    """(repeats,): whether each row's interval covers the truth."""
    half = quantile(values.shape[-1]) * values.std(axis=-1, ddof=1) / np.sqrt(values.shape[-1])
    return np.abs(values.mean(axis=-1) - truth) <= half


def p_values(d):
    """As `paired_p`, over the last axis."""
    count = d.shape[-1]
    t = np.abs(d.mean(axis=-1)) / (d.std(axis=-1, ddof=1) / np.sqrt(count))
    return np.minimum(1, 2 * special.stdtr(count - 1, -t) / usable(count))


def wrong_in_family(tables):
    """(repeats,): whether any variant of (repeats, variants, seeds) is told apart from the best of its table."""
    best = tables.mean(axis=-1).argmin(axis=-1)
    gaps = tables - np.take_along_axis(tables, best[:, None, None], axis=1)
    rest = np.arange(tables.shape[1]) != best[:, None]
    p = p_values(gaps[rest].reshape(len(tables), -1, tables.shape[-1]))
    # Holm's first step decides whether anything is told apart.
    return p.min(axis=-1) * (tables.shape[1] * (tables.shape[1] - 1) // 2) <= 0.05


def check() -> None:
    """The simulation against what users' comparisons call; AssertionError where they differ."""
    for noise in NOISE:
        for seeds in SEEDS:
            a, b, mean = drawn(noise, seeds, 1.0, CHECKED)
            found = [difference("b", dict(enumerate(y)), "a", dict(enumerate(x))) for x, y in zip(a, b, strict=True)]
            ends = np.array([each.estimate.interval for each in found])
            assert (covered(b - a, 1.0) == ((ends[:, 0] <= 1) & (ends[:, 1] >= 1))).all()
            np.testing.assert_allclose(p_values(b - a), [each.p for each in found], rtol=1e-6)
            means = np.array([estimate(row).interval for row in mean])
            assert (covered(mean, 5.0) == ((means[:, 0] <= 5) & (means[:, 1] >= 5))).all()
    for variants in (2, 3, 6):
        # Far apart, so that both answers are common.
        tables = np.random.default_rng(1).normal(size=(CHECKED, variants, 5)) + 2 * np.arange(variants)[:, None]
        for table, wrong in zip(tables, wrong_in_family(tables), strict=True):
            standings = compare({str(name): dict(enumerate(row)) for name, row in enumerate(table)}).standings
            assert wrong == any(each.to_best is not None and each.to_best.significant for each in standings)
    print(f"the simulation agrees with estimate, difference and compare on {CHECKED} comparisons of each kind")


def pairs(tally: Tally, repeats: int) -> None:
    """A line for every noise, number of seeds and size of the difference."""
    for noise in NOISE:
        known = noise not in UNJUDGED
        for seeds in SEEDS:
            what = f"{noise}, {seeds} seeds"
            a, b, mean = drawn(noise, seeds, 0.0, repeats)
            calm = known and noise not in HEAVY
            tally.line(f"{what}: the mean is covered", covered(mean, 5.0).mean(), repeats, 0.93, 0.97, calm)
            tally.line(f"{what}: equal variants are told apart", (p_values(b - a) <= 0.05).mean(), repeats, 0, 0.05)
            for effect in EFFECTS:
                a, b, _ = drawn(noise, seeds, effect, repeats)
                share, told = covered(b - a, effect).mean(), (p_values(b - a) <= 0.05).mean()
                said = f"{what}: a difference of {effect:g} is covered (told in {told:.0%})"
                tally.line(said, share, repeats, 0.93, 0.97, known)


def families(tally: Tally, repeats: int) -> None:
    """A line for every noise and size of a comparison of equal variants."""
    for noise in ("normal", "uniform"):
        for variants in (2, 3, 6):
            for seeds in (3, 5, 10):
                rng = np.random.default_rng([variants, seeds])
                shape = (repeats, variants, seeds)
                wrong = wrong_in_family(NOISE[noise](rng, shape) + rng.normal(size=(repeats, 1, seeds)))
                said = f"{noise}, {variants} equal variants, {seeds} seeds: any is told from the best"
                tally.line(said, wrong.mean(), repeats, 0, 0.05)


def one_by_one(tally: Tally, repeats: int) -> None:
    """Medians, their differences and the marks, by what users' comparisons call, for every noise and 5 to 30 seeds."""
    every = {**NOISE, **ODD}
    for noise, draw in every.items():
        for seeds in (5, 6, 10, 20, 30):
            rng = np.random.default_rng([seeds, list(every).index(noise)])
            truth = float(np.median(draw(rng, 400_000)))
            rows, others = draw(rng, (repeats, seeds)), draw(rng, (repeats, seeds))
            what = f"{noise}, {seeds} seeds"
            marked = np.mean([look(dict(enumerate(row))).odd for row in rows])
            tally.line(f"{what}: are marked", marked, repeats, 0, 0.05, noise in ("normal", "uniform"))
            means = covered(rows, float(draw(rng, 400_000).mean())).mean()
            tally.line(f"{what}: the mean is covered", means, repeats, 0.93, 0.97, judged=False)
            if seeds < 6:
                continue
            within = [low <= truth <= high for low, high in map(median_interval, rows)]
            tally.line(f"{what}: the median is covered", np.mean(within), repeats, 0.93, 1)
            around = [low <= 0 <= high for low, high in (shift(d).interval for d in rows - others)]
            tally.line(f"{what}: the median difference is covered", np.mean(around), repeats, 0.93, 1)


def accuracies(tally: Tally, repeats: int) -> None:
    """The mean of accuracies near 1: by the logit scale, where the seeds differ at all; by t, for comparison."""
    for what, (mean, draw) in ACCURACIES.items():
        for seeds in (3, 5, 10, 30):
            rows = draw(np.random.default_rng([seeds, list(ACCURACIES).index(what)]), (repeats, seeds))
            found = [bounded_estimate(row).interval for row in rows]
            given = np.array([each for each in found if each is not None])
            share = np.mean((given[:, 0] <= mean) & (mean <= given[:, 1]))
            plain = covered(rows, mean).mean()
            none = 1 - len(given) / repeats
            said = f"{what}, {seeds} seeds: the mean is covered (by t {plain:.1%}; {none:.1%} have none)"
            # Where often no sample tells the seeds apart, the rest are chosen by their spread, and covered too often.
            tally.line(said, share, len(given), 0.93, 0.98, judged=none < _TOO_COARSE)


def main(repeats: int) -> int:
    """Print every line; 1 where one fails."""
    check()
    tally = Tally()
    pairs(tally, repeats)
    families(tally, repeats)
    # Not whole tables but a call for each row, so fewer of them.
    one_by_one(tally, max(200, repeats // 20))
    accuracies(tally, max(200, repeats // 10))
    print(f"{'FAIL' if tally.failed else 'PASS'}: {tally.failed} lines miss what is wanted, {repeats} repeats each")
    return 1 if tally.failed else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 40_000))
