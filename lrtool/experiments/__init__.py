"""What the commands do: config to trials to engine to run folder."""
