"""Sweeps: which trials, in which order, trained where, and what is kept of each."""
