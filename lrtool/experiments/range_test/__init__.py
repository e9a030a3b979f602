"""The LR range test: the ramp, the probes, the stability limit."""
