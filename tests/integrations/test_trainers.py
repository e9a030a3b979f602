"""CurveLR unmodified in Lightning and in transformers' Trainer, both run for real."""

import sys

import numpy as np
import pytest
import torch

from lrtool.integrations.torch import CurveLR
from lrtool.schedules import KINDS

STEPS = 12
FIELDS = {"kind": "one_cycle", "rise": 4}


def expected():
    return KINDS["one_cycle"](rise=4).bind(0.1, STEPS)


def data():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(24, 3, generator=generator)
    return torch.utils.data.TensorDataset(x, x.sum(1, keepdim=True))


@pytest.fixture
def module():
    lightning = pytest.importorskip("lightning")

    class Net(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(3, 1)
            self.used, self.momentum = [], []

        def training_step(self, batch, _):
            group = self.optimizers().param_groups[0]
            self.used.append(group["lr"])
            self.momentum.append(group["momentum"])
            return torch.nn.functional.mse_loss(self.layer(batch[0]), batch[1])

        def configure_optimizers(self):
            optimizer = torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9)
            scheduler = CurveLR(optimizer, FIELDS, STEPS)
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    return Net


def trainer(folder, epochs):
    import lightning

    return lightning.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        default_root_dir=folder,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
    )


@pytest.mark.filterwarnings("ignore")
def test_lightning(module, tmp_path):
    loader = torch.utils.data.DataLoader(data(), batch_size=8)
    net = module()
    trainer(tmp_path, 4).fit(net, loader)
    assert net.used == expected().table().tolist()
    assert net.momentum == KINDS["one_cycle"](rise=4).bind_momentum(0.1, STEPS).table().tolist()


@pytest.mark.filterwarnings("ignore")
def test_lightning_resumes(module, tmp_path):
    loader = torch.utils.data.DataLoader(data(), batch_size=8)
    first, second = module(), module()
    stopped = trainer(tmp_path, 2)
    stopped.fit(first, loader)
    stopped.save_checkpoint(tmp_path / "half.ckpt")
    trainer(tmp_path, 4).fit(second, loader, ckpt_path=tmp_path / "half.ckpt")
    assert first.used + second.used == expected().table().tolist()


@pytest.mark.filterwarnings("ignore")
def test_lightning_goes_on_with_another_length(module, tmp_path, monkeypatch):
    loader = torch.utils.data.DataLoader(data(), batch_size=8)
    first = module()
    stopped = trainer(tmp_path, 2)
    stopped.fit(first, loader)
    stopped.save_checkpoint(tmp_path / "half.ckpt")
    monkeypatch.setattr(sys.modules[__name__], "STEPS", 18)
    second = module()
    trainer(tmp_path, 6).fit(second, loader, ckpt_path=tmp_path / "half.ckpt")
    assert second.used == KINDS["one_cycle"](rise=4).bind(0.1, 18)(np.arange(6, 18)).tolist()


def hugging_face(folder, **settings):
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("accelerate")

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(3, 1)

        def forward(self, x, labels):
            return {"loss": torch.nn.functional.mse_loss(self.layer(x), labels)}

    class Watch(transformers.TrainerCallback):
        used = ()

        def on_pre_optimizer_step(self, arguments, state, control, optimizer=None, **_):
            self.used = (*self.used, optimizer.param_groups[0]["lr"])

    model, watch = Net(), Watch()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    trainer = transformers.Trainer(
        model,
        transformers.TrainingArguments(
            str(folder),
            max_steps=STEPS,
            per_device_train_batch_size=4,
            report_to=[],
            use_cpu=True,
            logging_steps=1,
            disable_tqdm=True,
            **settings,
        ),
        train_dataset=[{"x": x, "labels": y} for x, y in data()],
        optimizers=(optimizer, CurveLR(optimizer, FIELDS, STEPS)),
        callbacks=[watch],
    )
    return trainer, watch


@pytest.mark.filterwarnings("ignore")
def test_transformers(tmp_path):
    trainer, watch = hugging_face(tmp_path, save_strategy="no")
    trainer.train()
    assert list(watch.used) == expected().table().tolist()
    logged = [entry["learning_rate"] for entry in trainer.state.log_history if "learning_rate" in entry]
    assert np.isin(logged, expected()(np.arange(STEPS + 1))).all()
    assert len(logged) == STEPS


@pytest.mark.filterwarnings("ignore")
def test_transformers_resumes(tmp_path):
    trainer, _ = hugging_face(tmp_path, save_strategy="steps", save_steps=5)
    trainer.train()
    again, watch = hugging_face(tmp_path, save_strategy="no")
    again.train(resume_from_checkpoint=str(tmp_path / "checkpoint-5"))
    assert list(watch.used) == expected()(np.arange(5, STEPS)).tolist()


@pytest.mark.filterwarnings("ignore")
def test_transformers_goes_on_with_another_length(tmp_path, monkeypatch):
    trainer, _ = hugging_face(tmp_path, save_strategy="steps", save_steps=5)
    trainer.train()
    monkeypatch.setattr(sys.modules[__name__], "STEPS", 20)
    again, watch = hugging_face(tmp_path, save_strategy="no")
    again.train(resume_from_checkpoint=str(tmp_path / "checkpoint-5"))
    assert list(watch.used) == KINDS["one_cycle"](rise=4).bind(0.1, 20)(np.arange(5, 20)).tolist()
