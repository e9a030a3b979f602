"""Suggestion methods, one a file, by name."""

from __future__ import annotations

from lrtool.analysis.suggest.base import Suggestion, SuggestionMethod
from lrtool.registry import Registry

__all__ = ["METHODS", "Suggestion", "SuggestionMethod"]

#: Every suggestion method by its kind.
METHODS: Registry[SuggestionMethod] = Registry(SuggestionMethod, "lrtool.analysis.suggest", "suggestion method")
