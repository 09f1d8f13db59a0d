"""The real command line in processes of its own."""

import os
import subprocess
import sys
import time
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


def wait_for(condition, seconds=240):
    """What `condition` returns once it is true."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)
    return found
