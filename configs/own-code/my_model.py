"""A model of one's own: any class or function that returns an nn.Module."""

from torch import Tensor, nn


class Net(nn.Module):
    """Two layers; `width` comes from `args` in the config."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(8, width), nn.ReLU(), nn.Linear(width, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)
