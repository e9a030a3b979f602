"""Many trials of one task at once, stacked along a first axis."""
