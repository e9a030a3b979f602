"""torchvision's ResNet-18 on an image folder, as its tutorials have it."""

from pathlib import Path

from torch.utils.data import DataLoader
from torchvision import datasets, models, transforms


def model() -> models.ResNet:
    return models.resnet18(num_classes=2)


def load() -> tuple[DataLoader, DataLoader]:
    folder = Path(__file__).parent / "images"
    crop = transforms.Compose([transforms.RandomHorizontalFlip(), transforms.RandomCrop(16, 2), transforms.ToTensor()])
    train = datasets.ImageFolder(folder, crop)
    val = datasets.ImageFolder(folder, transforms.ToTensor())
    return DataLoader(train, batch_size=8, shuffle=True, num_workers=2, drop_last=True), DataLoader(val, batch_size=8)
