"""Proof that a stack trains the model that the loop trains; a model that would be another is refused by name."""
