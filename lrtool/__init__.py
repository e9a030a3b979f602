"""lrtool: which learning rate, which schedule? Measured, not guessed."""

__version__ = "0.1.0"
