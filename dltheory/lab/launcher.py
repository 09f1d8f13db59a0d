"""Hydra's launchers: what is installed, how they are set, and what the processes they start inherit."""

import contextlib
import dataclasses
import importlib.util
import os
import shutil
from collections.abc import Iterator, Sequence
from typing import Any

from .configuration import Configurator, UserError
from .machine import cores

NEEDS = {
    "joblib": "hydra_plugins.hydra_joblib_launcher",
    "submitit_slurm": "submitit",
}
"""Packages that launchers need beside the required ones."""


@dataclasses.dataclass(frozen=True)
class Launcher:
    """A launcher of Hydra and its settings."""

    name: str
    settings: Any

    def __post_init__(self) -> None:
        for key in ("batch", "n_jobs"):
            value = self.settings.get(key)
            whole = isinstance(value, int) and not isinstance(value, bool)
            if value is not None and not (whole and (value >= 1 or (key == "n_jobs" and value == -1))):
                raise UserError(f"hydra.launcher.{key}={value}: must be a whole number ≥ 1" + (" or -1" if key == "n_jobs" else ""))
        if not isinstance(self.settings.get("wait", True), bool):
            raise UserError(f"hydra.launcher.wait={self.settings.wait}: must be true or false")

    @property
    def waits(self) -> bool:
        """Whether it returns only when all has been done."""
        return bool(self.settings.get("wait", True))

    def processes(self, jobs: int) -> int:
        """How many processes of this machine it starts at once."""
        if self.name != "joblib":
            return 1
        asked = self.settings.get("n_jobs", -1)
        return min(jobs, asked if asked > 0 else cores())

    @contextlib.contextmanager
    def environment(self, processes: int) -> Iterator[None]:
        """What processes started in this block inherit, before they import JAX: a share of the cores and of device memory each."""
        share = str(max(1, cores() // processes))
        values = {"NPROC": share, "OMP_NUM_THREADS": share, "XLA_PYTHON_CLIENT_MEM_FRACTION": f"{0.9 / processes:.3f}"}
        added = {k: v for k, v in values.items() if k not in os.environ} if processes > 1 else {}
        os.environ.update(added)
        try:
            yield
        finally:
            for key in added:
                os.environ.pop(key)


def chosen_launcher(configurator: Configurator, overrides: Sequence[str]) -> Launcher:
    """Hydra's launcher by these `hydra/…` and `hydra.…` overrides; raises `UserError`."""
    name = next((o.partition("=")[2] for o in reversed(overrides) if o.partition("=")[0] == "hydra/launcher"), "basic")
    if (module := NEEDS.get(name)) and not importlib.util.find_spec(module):
        raise UserError(f"hydra/launcher={name}: needs {module.rpartition('.')[2]}, pip install 'dltheory[cluster]'")
    if name == "submitit_slurm" and not shutil.which("sbatch"):
        raise UserError(f"hydra/launcher={name}: there is no sbatch on this machine's PATH")
    try:
        return Launcher(name, configurator.hydra(overrides).launcher)
    except ValueError:  # of Hydra, where a launcher is null
        raise UserError(f"hydra/launcher={name}: must be the name of one of Hydra's launchers") from None
