"""Submit a sweep to Slurm and return at once.

    python -m scripts.submit rich_lazy 'init_scale=geomspace(0.05,2e4,200)' 'seed=range(16)' [hydra.launcher.partition=gpu]

The words are those of `python -m experiments.<name> -m`. The terminal may be closed: `python -m experiments status <sweep>` says how
it stands, `resume` submits what is missing, `collect` draws what is there (the last task to end has done so already).
"""

import sys

from dltheory.lab import main

if __name__ == "__main__":
    if len(sys.argv) < 2 or {"-h", "--help"} & set(sys.argv):
        print(__doc__, end="")
        sys.exit(0 if len(sys.argv) > 1 else 2)
    name, *words = sys.argv[1:]
    main(name if "." in name else f"experiments.{name}", ["-m", *words, "hydra/launcher=submitit_slurm", "hydra.launcher.wait=false"])
