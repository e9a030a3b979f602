"""The section of a config that says what each trial, or group of trials, needs on a cluster."""

from __future__ import annotations

from pydantic import Field, field_validator

from lrtool.config.settings import Settings


class ClusterSettings(Settings):
    """What jobs need on a cluster (`--executor ray` or `slurm`); it changes nothing of what is computed."""

    cpus: float = Field(1, gt=0, allow_inf_nan=False, description="CPUs of each group of trials that train together.")
    gpus: float | None = Field(
        None,
        ge=0,
        allow_inf_nan=False,
        description="GPUs of each; 0.25: four share one. Unsaid: one where `device` is cuda, else none.",
    )
    retries: int = Field(
        5, ge=0, description="How often a group is begun again that loses its worker or node before a trial of it ends."
    )
    ship: bool = Field(
        True,
        description="Send the config's own code and data to every worker; false: all nodes see the same folders.",
    )
    slurm: dict[str, str | int | float | bool] = Field(
        {}, description="Options of sbatch as submitit takes them, such as partition, account, time (minutes), mem."
    )

    @field_validator("gpus")
    @classmethod
    def _parts_or_whole(cls, value: float | None) -> float | None:
        if value is not None and value > 1 and value != int(value):
            raise ValueError(f"more than one GPU comes in whole ones, but got {value:g}; write {int(value)} or 0.5")
        return value

    @field_validator("slurm")
    @classmethod
    def _none_of_ours(cls, value: dict[str, str | int | float | bool]) -> dict[str, str | int | float | bool]:
        ours = {"cpus_per_task": "cluster.cpus", "gpus_per_node": "cluster.gpus", "gres": "cluster.gpus"}
        for key, instead in ours.items():
            if key in value:
                raise ValueError(f"{key} follows from the config; write {instead} instead")
        return value

    def gpus_on(self, device: str) -> float:
        """GPUs of a job whose trials train on a device."""
        return self.gpus if self.gpus is not None else float(device.startswith("cuda"))
