"""A model of the user's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from lrtool.errors import TaskError
from lrtool.tasks.base import BuildContext, DataShape, Model

if TYPE_CHECKING:
    from torch import nn


class UseModel(Model):
    """A class or function of your own that returns an `nn.Module`: `{use: "my_model.py:Net", args: {width: 64}}`."""

    kind: Literal["use"] = "use"
    use: str = Field(description="'file.py:Name' beside the config, or 'package.module:Name' (see --allow-import).")
    args: dict[str, Any] = Field({}, description="Keyword arguments of the class or function.")
    output: int | str | None = Field(
        None, description="Where its output has the predictions: a name, or a place in a tuple; unsaid, it is found."
    )

    def build(self, shape: DataShape, context: BuildContext) -> nn.Module:
        """Call the target; raises TaskError where it fails or returns something else than a module."""
        from torch import nn

        from lrtool.tasks import custom

        made = custom.call(self.use, self.args, context, "model")
        if not isinstance(made, nn.Module):
            got = f"the class {made.__name__} itself" if isinstance(made, type) else custom.article(made)
            raise TaskError(
                f"{self.use} returned {got}, not an nn.Module", where="model.use", remedy="return an instance of one"
            )
        return made
