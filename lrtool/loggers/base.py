"""What every logger is: an observer that a command opens for its run, by name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar, Self

from lrtool.engine.observer import Observer


class Logger(Observer, ABC):
    """An observer that tells somebody else (TensorBoard, MLflow) what a run measures.

    A class with a `name` in a file of this package is a logger; the package that it needs is imported in `open`.
    """

    #: What it is asked for by.
    name: ClassVar[str]

    @classmethod
    @abstractmethod
    def open(cls, folder: Path) -> Self:
        """One for the run in `folder`; MissingExtraError where its package is not installed."""
