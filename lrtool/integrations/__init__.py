"""lrtool inside other people's training code: range tests, and its curves; each file is imported when it is used."""

_FILES = ("accelerate", "export", "lightning", "loop", "torch", "transformers")


def __getattr__(name: str) -> object:
    """`lrtool.integrations.lightning` and the others, each with the package that it is for."""
    if name not in _FILES:
        raise AttributeError(f"module 'lrtool.integrations' has no attribute {name!r}")
    from importlib import import_module

    return import_module(f"lrtool.integrations.{name}")
