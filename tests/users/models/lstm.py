"""An LSTM that says whether a sequence of varying length rose; padded by its own collate function."""

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader, Dataset


class Walks(Dataset):
    def __init__(self, count: int = 96) -> None:
        generator = torch.Generator().manual_seed(1)
        lengths = torch.randint(4, 12, (count,), generator=generator).tolist()
        self.walks = [torch.randn(length, 1, generator=generator).cumsum(0) for length in lengths]

    def __len__(self) -> int:
        return len(self.walks)

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        return self.walks[i], int(self.walks[i][-1, 0] > 0)


def padded(samples: list[tuple[Tensor, int]]) -> tuple[Tensor, Tensor, Tensor]:
    walks, labels = zip(*samples, strict=True)
    return pad_sequence(walks, batch_first=True), torch.tensor([len(each) for each in walks]), torch.tensor(labels)


class Rises(nn.Module):
    def __init__(self, width: int = 12) -> None:
        super().__init__()
        self.lstm = nn.LSTM(1, width, num_layers=2, batch_first=True, dropout=0.1)
        self.head = nn.Linear(width, 2)

    def forward(self, walks: Tensor, lengths: Tensor) -> Tensor:
        states, _ = self.lstm(walks)
        return self.head(states[torch.arange(len(walks)), lengths - 1])


def load() -> tuple[DataLoader, DataLoader]:
    data = Walks()
    return DataLoader(data, batch_size=12, shuffle=True, collate_fn=padded), DataLoader(data, 12, collate_fn=padded)
