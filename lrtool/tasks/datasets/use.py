"""Data of the user's own."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from lrtool.tasks.base import BuildContext, Data, Dataset


class UseData(Dataset):
    """A function or class of your own that returns data: `{use: "my_data.py:load", args: {}, batch_size: 64}`.

    It returns one data set, which `val_fraction` splits, or a (train, val) pair, which is taken as it is. Each
    is a torch `Dataset` (map-style) or a tuple `(inputs…, target)` of tensors or arrays. NumPy floats become torch's
    default precision; tensors keep theirs.
    """

    kind: Literal["use"] = "use"
    use: str = Field(description="'file.py:Name' beside the config, or 'package.module:Name' (see --allow-import).")
    args: dict[str, Any] = Field({}, description="Keyword arguments of the function or class.")

    def load(self, context: BuildContext) -> Data:
        """Call the target and adapt what it returns; raises TaskError where either fails."""
        from lrtool.tasks import adapt, custom

        returned = custom.call(self.use, self.args, context, "data")
        with custom.importable(self.use, context):
            return adapt.adapt(returned, self.val_fraction, self.split_seed)
