"""A residual network of somebody's own on a folder of images, read by a data set that flips them at random."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset


class Block(nn.Module):
    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.downsample = nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))

    def forward(self, x: Tensor) -> Tensor:
        out = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(out)) + self.downsample(x))


class ResNet(nn.Module):
    def __init__(self, width: int = 8, classes: int = 2) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU())
        self.layers = nn.Sequential(Block(width, width, 1), Block(width, 2 * width, 2))
        self.fc = nn.Linear(2 * width, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.layers(self.stem(x)).mean((2, 3)))


class Images(Dataset):
    def __init__(self, folder: Path, augmented: bool) -> None:
        self.classes = sorted(each.name for each in folder.iterdir())
        self.files = [(file, n) for n, name in enumerate(self.classes) for file in sorted((folder / name).iterdir())]
        self.augmented = augmented

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        file, label = self.files[i]
        pixels = torch.from_numpy(np.asarray(Image.open(file).convert("RGB"), dtype=np.float32) / 255).permute(2, 0, 1)
        if self.augmented and torch.rand(()) < 0.5:
            pixels = pixels.flip(2)
        if self.augmented:
            pixels = pixels + 0.05 * torch.from_numpy(np.random.standard_normal(pixels.shape).astype(np.float32))  # noqa: NPY002
        return pixels, label


def load(workers: int = 2) -> tuple[DataLoader, DataLoader]:
    folder = Path(__file__).parent / "images"
    train = DataLoader(Images(folder, True), batch_size=8, shuffle=True, num_workers=workers, drop_last=True)
    return train, DataLoader(Images(folder, False), batch_size=8)
