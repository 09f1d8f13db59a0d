"""`hydra/launcher=vmap`: a sweep in one process, configurations of equal structure as one compiled program."""

from hydra._internal.core_plugins.basic_launcher import BasicLauncher


class VmapLauncher(BasicLauncher):
    """Runs in this process, `batch` of them vmapped on each local device; null is as many as fit in memory on an accelerator and a
    loop on each core of a CPU, where that is faster."""

    def __init__(self, batch: int | None = None) -> None:
        super().__init__()
        self.batch = batch
