"""Every example of docs/trainers.md runs, in order, with the real packages, on the smallest range tests there are."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lrtool.integrations import driving

PAGE = Path(__file__).parents[2] / "docs" / "trainers.md"
#: A ramp alone.
SETTINGS = {"steps": 40, "seeds": 1, "start": 1e-4}


def sections():
    """The code of each section, as one text."""
    parts = re.split(r"^## (.*)$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    found = {name: "\n".join(re.findall(r"```python\n(.*?)```", text, re.DOTALL)) for name, text in _pairs(parts)}
    return {name: code for name, code in found.items() if code}


def _pairs(parts):
    return zip(parts[::2], parts[1::2], strict=True)


@pytest.fixture
def small(monkeypatch):
    """The page's own range tests take seconds each."""
    real = driving.measure

    def measure(foreign, options):
        return real(replace(foreign, settings=SETTINGS), replace(options, quick=True, progress=False))

    from lrtool.integrations import accelerate, fitting, loop, transformers

    for module in (accelerate, fitting, loop, transformers):
        monkeypatch.setattr(module, "measure", measure)


@pytest.fixture
def objects(tmp_path, monkeypatch):
    """What the page takes as given."""
    monkeypatch.chdir(tmp_path)
    accelerate, lightning = pytest.importorskip("accelerate"), pytest.importorskip("lightning")
    transformers = pytest.importorskip("transformers")
    x = torch.randn(16, 3, generator=torch.Generator().manual_seed(0)).repeat(4, 1)
    y, model = x.sum(1, keepdim=True), torch.nn.Linear(3, 1)

    class Module(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(3, 1)

        def training_step(self, batch, _):
            return torch.nn.functional.mse_loss(self.layer(batch[0]), batch[1])

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.01)

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(3, 1)

        def forward(self, x, labels):
            return {"loss": torch.nn.functional.mse_loss(self.layer(x), labels)}

    arguments = transformers.TrainingArguments(str(tmp_path), use_cpu=True, report_to=[], disable_tqdm=True)
    samples = [{"x": each, "labels": target} for each, target in zip(x, y, strict=True)]
    return {
        "module": Module(),
        "model": model,
        "optimizer": torch.optim.SGD(model.parameters(), lr=0.01),
        "loader": torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), 16),
        "criterion": torch.nn.MSELoss(),
        "accelerator": accelerate.Accelerator(cpu=True),
        "trainer": transformers.Trainer(Model(), arguments, train_dataset=samples),
    }


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", sections())
def test_the_code_of_each_section_runs(name, small, objects):
    exec(sections()[name], objects)
    if name != "Lightning":
        assert (objects.get("found") or objects["test"].result).status.value == "finished"
