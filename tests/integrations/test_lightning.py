"""Range tests in the real Lightning: the LR reaches the optimizer, and nothing else is changed."""

import pytest
import torch

from lrtool.errors import UsageError

lightning = pytest.importorskip("lightning", reason="needs lightning")

from lrtool.integrations.lightning import RangeTest, SetLr, suggest_lr  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")


class Literal(lightning.LightningModule):
    """Its optimizer closes over a number."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(3, 1)
        self.seen, self.fail_at = [], None

    def training_step(self, batch, _):
        self.seen.append(self.optimizers().param_groups[0]["lr"])
        if len(self.seen) == self.fail_at:
            raise self.error
        loss = torch.nn.functional.mse_loss(self.layer(batch[0]), batch[1])
        self.log("train_loss", loss)
        return loss

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.01)


class Hparams(Literal):
    def __init__(self, learning_rate=0.01):
        super().__init__()
        self.save_hyperparameters()

    def configure_optimizers(self):
        return {"optimizer": torch.optim.SGD(self.parameters(), lr=self.hparams.learning_rate)}


class Attribute(Literal):
    def __init__(self):
        super().__init__()
        self.lr = 0.01

    def configure_optimizers(self):
        optimizer = torch.optim.SGD(self.parameters(), lr=self.lr)
        return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 100)]


class Scheduled(Literal):
    """Groups at different LRs, and a warm-up whose length is read off the trainer."""

    def configure_optimizers(self):
        groups = [{"params": [self.layer.weight], "lr": 0.01}, {"params": [self.layer.bias], "lr": 0.001}]
        optimizer = torch.optim.AdamW(groups)
        steps = self.trainer.estimated_stepping_batches
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda t: (t + 1) / steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


class Gan(lightning.LightningModule):
    """Two optimizers, stepped by hand."""

    def __init__(self):
        super().__init__()
        self.automatic_optimization = False
        self.one, self.two, self.lrs = torch.nn.Linear(3, 1), torch.nn.Linear(3, 1), []

    def training_step(self, batch, _):
        for optimizer, layer in zip(self.optimizers(), (self.one, self.two), strict=True):
            loss = torch.nn.functional.mse_loss(layer(batch[0]), batch[1])
            optimizer.zero_grad()
            self.manual_backward(loss)
            optimizer.step()
        self.lrs.append([optimizer.param_groups[0]["lr"] for optimizer in self.optimizers()])
        self.log("second", loss)

    def configure_optimizers(self):
        return [torch.optim.SGD(layer.parameters(), lr=0.02) for layer in (self.one, self.two)]


@pytest.fixture
def trainer(tmp_path):
    def make(epochs=2, **options):
        quiet = {"enable_checkpointing": False, "logger": False, **options}
        return lightning.Trainer(
            max_epochs=epochs, accelerator="cpu", default_root_dir=tmp_path, enable_progress_bar=False,
            enable_model_summary=False, **quiet,
        )  # fmt: skip

    return make


def progress(trainer):
    """What a trainer knows of its training."""
    states = {type(each).__name__: each.state_dict() for each in trainer.callbacks}
    where = trainer.global_step, trainer.current_epoch, trainer.should_stop, str(trainer.state)
    return repr((where, trainer.fit_loop.state_dict(), states, [id(o) for o in trainer.optimizers], trainer.loggers))


@pytest.mark.parametrize("cls", [Literal, Hparams, Attribute])
def test_the_lr_reaches_the_optimizer(cls, trainer, loader, quick):
    module, test = cls(), RangeTest(**quick)
    trainer(callbacks=[test]).fit(module, loader)
    lr = test.result.suggested_lr
    assert 0.01 < lr < 10
    assert module.seen == [lr] * 16
    assert getattr(module, "lr", lr) == lr
    assert module.hparams.get("learning_rate", lr) == lr


@pytest.mark.parametrize("cls", [Literal, Hparams])
def test_of_a_suggestion_too_where_it_is_to_be_applied(cls, trainer, loader, quick):
    module, fits = cls(), trainer()
    found = suggest_lr(fits, module, loader, apply=True, **quick)
    fits.fit(module, loader)
    assert module.seen == [found.suggested_lr] * 16


def test_by_hand(trainer, loader, quick):
    module = Literal()
    found = suggest_lr(trainer(), module, loader, **quick)
    trainer(callbacks=[SetLr(found.suggested_lr)]).fit(module, loader)
    assert module.seen == [found.suggested_lr] * 16


def test_schedulers_and_groups_follow(trainer, loader, quick):
    module, test = Scheduled(), RangeTest(**quick)
    fits = trainer(callbacks=[test])
    fits.fit(module, loader)
    lr = test.result.suggested_lr
    assert module.seen == pytest.approx([lr * (t + 1) / 16 for t in range(16)])
    first, second = fits.optimizers[0].param_groups
    assert second["lr"] == pytest.approx(first["lr"] / 10)
    assert test.result.lrs == pytest.approx([lr, lr / 10])


def test_one_of_several_optimizers_is_chosen(trainer, loader, quick):
    module = Gan()
    with pytest.raises(UsageError, match=r"gives 2 optimizers.*optimizer=0 to optimizer=1"):
        suggest_lr(trainer(), module, loader, loss="second", **quick)
    with pytest.raises(UsageError, match="there are 2 optimizers, but got optimizer=2"):
        suggest_lr(trainer(), module, loader, optimizer=2, **quick)
    with pytest.raises(UsageError, match=r'returns no loss.*loss="name"'):
        suggest_lr(trainer(), module, loader, optimizer=1, **quick)
    test = RangeTest(optimizer=1, loss="second", **quick)
    trainer(callbacks=[test]).fit(module, loader)
    assert module.lrs == [[0.02, test.result.suggested_lr]] * 16


@pytest.mark.parametrize("epochs", [0, 1])
def test_everything_is_as_it_was(epochs, trainer, loader, quick, digest, tmp_path):
    module, fits = Hparams(), trainer(3, logger=True, enable_checkpointing=True)
    if epochs:
        fits.fit_loop.max_epochs = epochs
        fits.fit(module, loader)
    files = sorted(tmp_path.rglob("*"))
    before = digest(module, (fits.optimizers or [None])[0], loader=loader), progress(fits)
    found = suggest_lr(fits, module, loader, **quick)
    assert found.suggested_lr is not None
    assert (digest(module, (fits.optimizers or [None])[0], loader=loader), progress(fits)) == before
    assert sorted(tmp_path.rglob("*")) == files


def test_amid_a_training_that_is_resumed(trainer, loader, quick):
    """A finder after an epoch (#4846): it goes on where it was, with the optimizer's state."""
    module, first = Literal(), trainer(1)
    first.fit(module, loader)
    first.save_checkpoint(first.default_root_dir + "/one.ckpt")
    test, module = RangeTest(**quick), Literal()
    second = trainer(2, callbacks=[test])
    second.fit(module, loader, ckpt_path=first.default_root_dir + "/one.ckpt")
    assert (second.global_step, second.current_epoch) == (16, 2)
    assert module.seen == [test.result.suggested_lr] * 8


def test_several_finders_at_once(trainer, loader, quick):
    """Each begins at the same state (#9574), and finds the same."""
    module, tests = Literal(), [RangeTest(apply=False, **quick), RangeTest(**quick)]
    trainer(callbacks=tests).fit(module, loader)
    first, second = (test.result for test in tests)
    assert first.suggested_lr == second.suggested_lr
    assert first.found.losses.tolist() == second.found.losses.tolist()
    assert len(module.seen) == 16


def test_accumulation_counts_in_updates(trainer, loader, quick, monkeypatch):
    module, seen = Literal(), []
    step = Literal.training_step
    monkeypatch.setattr(Literal, "training_step", lambda self, *given: (seen.append(0), step(self, *given))[1])
    found = suggest_lr(trainer(accumulate_grad_batches=4), module, loader, **(quick | {"steps": 30, "end": 1e-3}))
    # Those of the ramp, and those that were timed before; the loss is that of a batch.
    assert len(seen) == 4 * (30 + 4)
    plain = suggest_lr(trainer(), module, loader, **(quick | {"steps": 30, "end": 1e-3}))
    assert found.found.losses[0] == pytest.approx(plain.found.losses[0], rel=1e-4)


def test_mixed_precision_and_clipping(trainer, loader, quick):
    module, kinds = Literal(), set()
    module.layer.register_forward_hook(lambda *given: kinds.add(given[2].dtype))
    found = suggest_lr(trainer(precision="bf16-mixed", gradient_clip_val=0.5), module, loader, **quick)
    assert found.suggested_lr is not None
    assert kinds == {torch.bfloat16}


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("theirs")])
@pytest.mark.parametrize("at", [1, 20])
def test_what_breaks_off_changes_nothing(error, at, trainer, loader, quick, digest):
    import signal

    module, fits = Literal(), trainer()
    module.fail_at, module.error = at, error
    before, handler = (digest(module, loader=loader), progress(fits)), signal.getsignal(signal.SIGINT)
    with pytest.raises(type(error)):
        suggest_lr(fits, module, loader, **quick)
    assert (digest(module, loader=loader), progress(fits)) == before
    assert signal.getsignal(signal.SIGINT) is handler


def test_a_datamodule_and_short_trainings(trainer, loader, quick):
    class Data(lightning.LightningDataModule):
        def train_dataloader(self):
            return loader

    module = Literal()
    quick |= {"quick": False, "probe_steps": 20, "duration": 40, "budget": 20}
    found = suggest_lr(trainer(), module, datamodule=Data(), **quick)
    assert "short trainings" in found.summary["stability_from"]
    assert found.summary["cost"]["trained_runs"] <= 20
