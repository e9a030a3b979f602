"""LR-loss curves in numpy: smoothing, divergence, bounds, suggestions."""
