"""A transfer that is asked for."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from lrtool.analysis.search.transfer.usual import DURATION
from lrtool.experiments.setup import Setup
from lrtool.experiments.transfer import keys
from lrtool.experiments.transfer.target import amount


@dataclass(frozen=True)
class TransferRequest:
    """A transfer that is asked for: the target, built, and what makes the smaller runs."""

    whole: Setup
    target: Mapping[str, str]
    configs: keys.Configs
    allow_import: Collection[str] = ()

    @classmethod
    def of(cls, texts: Sequence[str], configs: keys.Configs, allow_import: Collection[str] = ()) -> TransferRequest:
        """Read the target and build it; raises UsageError and ConfigError where it cannot be."""
        target = keys.targets(texts, configs)
        config = configs(keys.settings(target, {}))
        keys.check_parts(target, config)
        whole = keys.built(config, allow_import)
        return cls(whole, target, configs, allow_import)

    @classmethod
    def of_length(cls, whole: Setup) -> TransferRequest:
        """A training as it is, its LR to be found by shorter ones."""
        return cls(whole, {DURATION: str(whole.config.train.duration.written())}, lambda _: whole.config)

    def setup(self, values: Mapping[str, float]) -> Setup:
        """The target with smaller values of keys, at the target's length."""
        smaller = {key: value for key, value in values.items() if key != DURATION}
        if not smaller:
            return self.whole
        return keys.built(self.configs(keys.settings(self.target, smaller)), self.allow_import)

    @property
    def goal(self) -> dict[str, float]:
        """The target's values of all keys."""
        goal = {DURATION: float(self.whole.steps)}
        return goal | {key: amount(key, text) for key, text in self.target.items() if key != DURATION}

    @property
    def adaptive(self) -> bool:
        """Whether the optimizer divides by the size of the gradient: all but SGD do, in some way."""
        return getattr(self.whole.config.optimizer, "kind", "") != "sgd"
