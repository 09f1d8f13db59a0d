"""The real command line in processes of its own."""

import os
import subprocess
import sys
from pathlib import Path

HOUSE = Path(__file__).parents[1]


def command(module, *words, cwd, background=False, **environment):
    """`python -m module words` in the folder `cwd`, which has no results yet unless a command left some there."""
    kept = {k: v for k, v in os.environ.items() if k != "DLTHEORY_RESULTS"}
    env = kept | {"PYTHONPATH": f"{HOUSE}:{HOUSE / 'tests'}", "JAX_PLATFORMS": "cpu"} | environment
    words = [sys.executable, "-m", module, *map(str, words)]
    if background:
        return subprocess.Popen(words, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return subprocess.run(words, cwd=cwd, env=env, capture_output=True, text=True, timeout=280)
