"""Configs written: a commented one to start from, and one with other values in which everything else stays."""
