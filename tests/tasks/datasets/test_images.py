"""Image folders, and the sets of torchvision."""

import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from lrtool.errors import MissingExtraError, TaskError, UsageError
from lrtool.tasks.base import BuildContext, DataShape
from lrtool.tasks.datasets.image_folder import ImageFolder
from lrtool.tasks.datasets.torchvision import Torchvision

Image = pytest.importorskip("PIL.Image", reason="needs pillow")


@pytest.fixture
def images(tmp_path: Path) -> Path:
    for label, name in enumerate(("cat", "dog")):
        for number in range(5):
            path = tmp_path / "pets" / name / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (12, 9), (255 * label, 0, 51)).save(path)
    return tmp_path / "pets"


@pytest.mark.parametrize("cache", [True, False])
def test_folders_are_classes(images: Path, context: BuildContext, cache: bool) -> None:
    data = ImageFolder(path="pets", size=4, cache=cache, val_fraction=0.2).load(context)
    assert data.shape == DataShape((3, 4, 4), 2, "class")
    assert (len(data.train), len(data.val or ())) == (8, 2)
    batch = data.train.take(torch.arange(8))
    x, y = batch.inputs[0], batch.target
    assert x.shape == (8, 3, 4, 4)
    torch.testing.assert_close(x[:, 0, 0, 0], y.float() * 2 - 1)
    torch.testing.assert_close(x[:, 2], torch.full((8, 4, 4), 51 / 127.5 - 1))


def test_gray_images_have_one_channel(images: Path, context: BuildContext) -> None:
    assert ImageFolder(path="pets", size=4, mode="gray").load(context).shape.inputs == (1, 4, 4)


@pytest.mark.parametrize("cache", [True, False])
def test_a_broken_image_is_named(images: Path, context: BuildContext, cache: bool) -> None:
    for path in images.glob("*/*.png"):
        path.write_text("no image")
    with pytest.raises(TaskError, match=r"the image .*pets/\w+/\d\.png cannot be read"):
        ImageFolder(path="pets", cache=cache).load(context)


def test_missing_folders_and_images_are_named(images: Path, context: BuildContext) -> None:
    with pytest.raises(UsageError, match=r"no folder .*pet; did you mean 'pets'\?"):
        ImageFolder(path="pet").load(context)
    (images / "eel").mkdir()
    with pytest.raises(TaskError, match="pets/eel holds no images; put the images of each class in a folder"):
        ImageFolder(path="pets").load(context)
    with pytest.raises(TaskError, match="holds no class folders"):
        ImageFolder(path="pets/cat").load(context)


@pytest.mark.parametrize(("size", "shape"), [((9, 6, 6), (1, 6, 6)), ((9, 6, 6, 3), (3, 6, 6))], ids=["gray", "colour"])
def test_a_torchvision_set_is_read_into_memory(
    context: BuildContext, monkeypatch: pytest.MonkeyPatch, size: tuple[int, ...], shape: tuple[int, ...]
) -> None:
    asked = []

    def fake(root: Path, download: bool) -> SimpleNamespace:
        asked.append((root, download))
        pixels = np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8)
        return SimpleNamespace(data=pixels, targets=[n % 3 for n in range(9)], classes=["a", "b", "c"])

    stand_in = SimpleNamespace(datasets=SimpleNamespace(MNIST=fake))
    monkeypatch.setitem(sys.modules, "torchvision", stand_in)
    data = Torchvision(name="MNIST", root="here", val_fraction=0).load(context)
    assert asked == [(context.folder / "here", False)]
    assert data.shape == DataShape(shape, 3, "class")
    torch.testing.assert_close(data.train.inputs[0].mean(), torch.tensor(0.0), atol=1e-6, rtol=0)


def test_files_that_are_missing_are_not_fetched_unasked(context: BuildContext) -> None:
    pytest.importorskip("torchvision", reason="needs torchvision")
    with pytest.raises(UsageError, match=r"MNIST cannot be read .*or download: true"):
        Torchvision(name="MNIST").load(context)


def test_torchvision_names_its_extra(context: BuildContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'lrtool\[images\]'"):
        Torchvision(name="MNIST").load(context)


def test_folders_of_parts_are_no_classes(images: Path, context: BuildContext) -> None:
    for name in ("train", "val"):
        shutil.copytree(images, images.parent / "parts" / name)
    with pytest.raises(TaskError, match="not classes; write the one to train with, path: parts/train"):
        ImageFolder(path="parts").load(context)
    assert ImageFolder(path="parts/train", size=4).load(context).shape.outputs == 2
