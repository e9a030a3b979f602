"""Going on with what was stopped: what must be as it was, and what is known already."""
