"""A loss of the user's own."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from lrtool.tasks.base import BuildContext, LossFunction
from lrtool.tasks.losses.base import Loss


class UseLoss(Loss):
    """A loss of your own: `{use: "my_loss.py:loss", args: {weight: 2}}`.

    A function is called as `loss(output, target, **args)`; a class is made once with `args`, and its instance
    is called as `(output, target)`. Either returns the mean over the batch, one number.
    """

    kind: Literal["use"] = "use"
    use: str = Field(description="'file.py:Name' beside the config, or 'package.module:Name' (see --allow-import).")
    args: dict[str, Any] = Field({}, description="Keyword arguments of the function or class.")

    def build(self, context: BuildContext) -> LossFunction:
        """The function; raises UsageError where it does not take (output, target) and `args`."""
        from lrtool.tasks import custom

        return custom.function_of_batch(self.use, self.args, context, "loss")
