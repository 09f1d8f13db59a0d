"""`hydra/launcher=submitit_slurm`: a sweep as one Slurm job array."""

import shlex
from collections.abc import Sequence
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class SlurmLauncher(Launcher):
    """Submits the tasks and returns; with `wait`, whoever called waits until they have ended."""

    def __init__(self, wait: bool, **parameters: Any) -> None:
        self.wait, self.parameters = wait, parameters

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Called by Hydra before `launch`."""
        self.task: Any = task_function

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Submit a task for each share of the sweep."""
        from omegaconf import OmegaConf

        from dltheory.lab import cluster

        shares = [overrides[0].partition("=")[2] for overrides in job_overrides]
        parameters = {k: OmegaConf.to_container(v) if OmegaConf.is_config(v) else v for k, v in self.parameters.items()}
        job = cluster.submit(self.task, shares, parameters)
        print(f"Slurm job {job}: {len(shares)} tasks, logs under {self.task.where / 'slurm'}")
        print(f"python -m experiments status {shlex.quote(str(self.task.where))}", flush=True)
        return [JobReturn(overrides=overrides, status=JobStatus.COMPLETED) for overrides in job_overrides]
