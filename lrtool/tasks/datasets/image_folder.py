"""A user's images, one folder a class."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from lrtool.errors import MissingExtraError, TaskError
from lrtool.tasks.base import Arrays, BuildContext, Data, DataShape
from lrtool.tasks.datasets._files import find
from lrtool.tasks.memory import InMemory

#: Pixels of an image at most: a small file may hold very many.
_MOST_PIXELS = 100_000_000

if TYPE_CHECKING:
    from torch import Tensor

_ENDINGS = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff"}
#: How folders are called that hold parts of a data set, each with its classes.
_SPLITS = frozenset({"train", "training", "val", "valid", "validation", "dev", "test"})


class ImageFolder(InMemory):
    """Images in one folder a class, the folder's name being the class; resized to a square, values from −1 to 1."""

    kind: Literal["image_folder"] = "image_folder"
    path: str = Field(description="The folder of class folders, relative to the config.")
    size: int = Field(64, ge=1, description="Side of the square that every image is resized to, in pixels.")
    mode: Literal["rgb", "gray"] = Field("rgb", description="Three colour channels, or one.")
    cache: bool = Field(True, description="Decode all images once and keep them in memory; false decodes every time.")

    @classmethod
    def reads(cls, path: Path) -> bool:
        """Whether it is a folder of folders, one of which holds an image."""
        folders = [entry for entry in path.iterdir() if entry.is_dir()] if path.is_dir() else []
        return any(inside.suffix.lower() in _ENDINGS for each in folders for inside in each.rglob("*"))

    def load(self, context: BuildContext) -> Data:
        """In memory, or image by image without `cache`."""
        if self.cache:
            return super().load(context)
        from lrtool.tasks.adapt import adapt

        return adapt(self._images(context), self.val_fraction, self.split_seed)

    def arrays(self, context: BuildContext) -> tuple[Arrays, DataShape]:
        """Images (samples, channels, size, size) and classes (samples,)."""
        images = self._images(context)
        pixels = np.stack([images.pixels(number) for number in range(len(images))])
        labels = np.array([label for _, label in images.files], dtype=np.int64)
        return Arrays((pixels,), labels), DataShape(pixels.shape[1:], len(images.classes), "class")

    def _images(self, context: BuildContext) -> _Images:
        folder = find(self.path, context, folder=True)
        classes = sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
        if len(classes) > 1 and {name.lower() for name in classes} <= _SPLITS:
            raise TaskError(
                f"{folder} holds {', '.join(classes)}, which are parts of a data set, not classes", where="data.path",
                remedy=f"write the one to train with, path: {Path(self.path, _trained(classes)).as_posix()}",
            )  # fmt: skip
        files = [
            (path, label)
            for label, name in enumerate(classes)
            for path in sorted((folder / name).rglob("*"))
            if path.suffix.lower() in _ENDINGS
        ]
        empty = next((name for number, name in enumerate(classes) if all(label != number for _, label in files)), None)
        if not files or empty is not None:
            raise TaskError(
                f"{folder / (empty or '')} holds no images" if classes else f"{folder} holds no class folders",
                where="data.path",
                remedy="put the images of each class in a folder of its own: <path>/<class>/<image>.png",
            )
        return _Images(files, classes, self.size, "RGB" if self.mode == "rgb" else "L")


def _trained(parts: list[str]) -> str:
    return next((name for name in parts if name.lower().startswith("train")), parts[0])


class _Images:
    """A map-style data set of (image, class)."""

    def __init__(self, files: list[tuple[Path, int]], classes: list[str], size: int, mode: str) -> None:
        self.files, self.classes, self.size, self.mode = files, classes, size, mode

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, number: int) -> tuple[Tensor, int]:
        import torch

        return torch.from_numpy(self.pixels(number)), self.files[number][1]

    def pixels(self, number: int) -> NDArray[np.float32]:
        """One image (channels, size, size), values from −1 to 1; TaskError names a file that cannot be read."""
        try:
            from PIL import Image
        except ImportError:
            raise MissingExtraError("pillow", extra="images", where="data.kind") from None
        path = self.files[number][0]
        try:
            with Image.open(path) as image:
                if image.width * image.height > _MOST_PIXELS:
                    raise ValueError(
                        f"it has {image.width} × {image.height} pixels, and at most {_MOST_PIXELS:,} are read"
                    )
                resized = image.convert(self.mode).resize((self.size, self.size))
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise TaskError(f"the image {path} cannot be read ({error})", remedy="repair or remove it") from None
        values = np.asarray(resized, dtype=np.float32) / 127.5 - 1.0
        return np.ascontiguousarray(values.transpose(2, 0, 1) if values.ndim == 3 else values[None])
