"""What was meant, where a config or a part of it is something else: a data file, code, a target."""
