"""How often the comparison's 95% intervals cover the truth, and how often equal variants are told apart.

Run: python tests/benchmarks/comparison_coverage.py [repeats]. Prints one line a setting; wanted are 93–97% coverage
and at most 5% of false findings. Values of a seed share its luck; noise is normal, or skewed as losses are.
"""

import sys

import numpy as np

from lrtool.analysis.comparison import compare, difference, estimate

NOISE = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "uniform": lambda rng, shape: rng.uniform(-np.sqrt(3), np.sqrt(3), shape),
    "lognormal, σ 0.3": lambda rng, shape: (rng.lognormal(0, 0.3, shape) - np.exp(0.045)) / 0.3209,
}


def row(noise, seeds, effect, repeats):
    """Shares of: the mean's interval covering, the difference's covering, the pair told apart."""
    rng = np.random.default_rng([seeds, int(100 * effect), len(noise)])
    counts = np.zeros(3)
    for _ in range(repeats):
        own = NOISE[noise](rng, (2, seeds)) * 0.5
        luck = rng.normal(size=seeds)
        a, b = 5 + luck + own[0], 5 + effect + luck + own[1]
        low, high = estimate(5 + 0.5 * own[0]).interval
        pair = difference("b", dict(enumerate(b)), "a", dict(enumerate(a)))
        left, right = pair.estimate.interval
        counts += [low <= 5 <= high, left <= effect <= right, pair.significant]
    return counts / repeats


def family(variants, seeds, repeats):
    """The share of comparisons of equal variants in which any is told apart from the best."""
    rng = np.random.default_rng([variants, seeds])
    wrong = 0
    for _ in range(repeats):
        table = rng.normal(size=(variants, seeds)) + rng.normal(size=seeds)
        result = compare({str(name): dict(enumerate(values)) for name, values in enumerate(table)})
        wrong += any(each.to_best is not None and each.to_best.significant for each in result.standings)
    return wrong / repeats


def main(repeats):
    print(f"{repeats} repeats; one standard error of a 95% is {100 * np.sqrt(0.95 * 0.05 / repeats):.2f} points")
    print(f"{'noise':<18} seeds  effect  mean covers  difference covers  told apart")
    for noise in NOISE:
        for seeds in (3, 5, 10, 30):
            for effect in (0.0, 0.4, 1.0):
                mean, gap, told = row(noise, seeds, effect, repeats)
                print(f"{noise:<18} {seeds:5d}  {effect:6.1f}  {mean:11.1%}  {gap:17.1%}  {told:10.1%}")
    for variants in (2, 3, 6):
        for seeds in (3, 5, 10):
            share = family(variants, seeds, repeats)
            print(f"{variants} equal variants, {seeds} seeds: any told apart from the best in {share:.1%}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 4000)
