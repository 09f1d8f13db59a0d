"""`hydra/launcher=submitit_slurm`: a sweep as one Slurm job array."""

from collections.abc import Sequence
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class SlurmLauncher(Launcher):
    """Submits the tasks; with `wait` it stays until all have ended, otherwise it returns at once."""

    def __init__(self, wait: bool, **parameters: Any) -> None:
        self.wait, self.parameters = wait, parameters

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Called by Hydra before `launch`."""
        self.task: Any = task_function

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Submit a task for each share of the sweep."""
        from omegaconf import OmegaConf

        from dltheory.lab import cluster, task

        shares = [overrides[0].partition("=")[2] for overrides in job_overrides]
        parameters = {k: OmegaConf.to_container(v) if OmegaConf.is_config(v) else v for k, v in self.parameters.items()}
        job = cluster.submit(self.task, shares, parameters)
        look = f"python -m experiments status {self.task.where}"
        print(f"Slurm job {job}: {len(shares)} tasks, logs under {self.task.where / 'slurm'}\n{look}", flush=True)
        if self.wait:
            try:
                cluster.wait(self.task.where, job, sum(len(task.numbers(s)) for s in shares))
            except KeyboardInterrupt:
                print(f"Slurm job {job} goes on: {look}", flush=True)
                raise
        return [JobReturn(overrides=overrides, status=JobStatus.COMPLETED) for overrides in job_overrides]
