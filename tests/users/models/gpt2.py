"""A GPT-2 of Hugging Face, small and with random weights, on the characters of a text file."""

from pathlib import Path

import torch
from torch.utils.data import Dataset
from transformers import GPT2Config, GPT2LMHeadModel


def model(width: int = 32) -> GPT2LMHeadModel:
    return GPT2LMHeadModel(GPT2Config(vocab_size=128, n_positions=64, n_embd=width, n_layer=2, n_head=2))


class Characters(Dataset):
    def __init__(self, file: str, length: int = 16) -> None:
        text = (Path(__file__).parent / file).read_text(encoding="ascii")
        self.codes = torch.tensor([ord(each) for each in text])
        self.length = length

    def __len__(self) -> int:
        return (len(self.codes) - 1) // self.length

    def __getitem__(self, i: int) -> dict[str, torch.Tensor]:
        piece = self.codes[i * self.length : (i + 1) * self.length]
        return {"input_ids": piece, "labels": piece}
