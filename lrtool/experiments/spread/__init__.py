"""Trials of a command on several machines: where they are trained, and what travels there."""
