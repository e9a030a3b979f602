"""Run folders: names, atomic writes, metrics, summaries, environment."""
