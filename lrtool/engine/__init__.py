"""Engines turn (task, trials) into traces."""
