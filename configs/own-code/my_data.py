"""Data of one's own: a dataset, a tuple of tensors or arrays, or a (train, val) pair of either."""

import numpy as np


def load(samples: int) -> tuple[np.ndarray, np.ndarray]:
    """Inputs (samples, 8) and targets (samples, 1): a smooth function with some noise."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((samples, 8)).astype(np.float32)
    y = np.sin(x[:, :1]) * x[:, 1:2] + 0.1 * rng.standard_normal((samples, 1)).astype(np.float32)
    return x, y.astype(np.float32)
