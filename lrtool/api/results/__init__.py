"""Results of the API: one class a command, each with its numbers, a table, a plot, and the run folder on request."""
