"""Schedules as people look at them: previews, the reference, other libraries' ways to write them."""
