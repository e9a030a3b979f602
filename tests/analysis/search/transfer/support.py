"""Points that follow a law that is known."""

import itertools

import numpy as np

from lrtool.analysis.search.transfer.points import Points

LRS = tuple(np.geomspace(1e-4, 1.0, 17))


def points(law, keys, noise=0.002, seeds=1, lrs=LRS, rng=0, curvature=0.02, skew=0.4, cells=None):
    """Losses on every combination of the keys' values: a skewed parabola in log LR around `law(**values)`.

    `keys`: values by name. LRs above 8 times the best one diverge.
    """
    draw = np.random.default_rng(rng)
    values, lr, loss = [], [], []
    for combination in cells or itertools.product(*keys.values()):
        at = dict(zip(keys, combination, strict=True))
        for each, _ in itertools.product(lrs, range(seeds)):
            u = np.log(each / law(**at))
            y = 1 + curvature * u**2 * np.exp(skew * np.tanh(u)) + noise * draw.normal()
            values.append(list(combination))
            lr.append(each)
            loss.append(y if u < np.log(8) else np.nan)
    return Points(tuple(keys), np.array(values, float), np.array(lr), np.array(loss))
