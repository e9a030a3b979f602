"""A model of two inputs, a picture and numbers beside it, with batch norm."""

import torch
from torch import Tensor, nn


class Two(nn.Module):
    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.picture = nn.Sequential(nn.Conv2d(1, width, 3), nn.BatchNorm2d(width), nn.ReLU(), nn.Flatten())
        self.numbers = nn.Sequential(nn.Linear(4, width), nn.BatchNorm1d(width), nn.ReLU())
        self.head = nn.Linear(width * 36 + width, 3)

    def forward(self, picture: Tensor, numbers: Tensor) -> Tensor:
        return self.head(torch.cat([self.picture(picture), self.numbers(numbers)], 1))


def load() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    label = torch.randint(0, 3, (96,), generator=generator)
    picture = torch.randn(96, 1, 8, 8, generator=generator) + label[:, None, None, None]
    return picture, torch.randn(96, 4, generator=generator), label
