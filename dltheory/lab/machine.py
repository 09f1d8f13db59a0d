"""What this process runs on: the machine, its cores, its Slurm job, the versions of packages and the commit."""

import contextlib
import functools
import hashlib
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any


@functools.cache
def machine() -> str:
    """This machine as others see it: processes of two equal names share their process numbers."""
    with contextlib.suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text() + os.readlink("/proc/self/ns/pid")
        return f"{socket.gethostname()}-{hashlib.sha256(boot.encode()).hexdigest()[:8]}"
    return socket.gethostname()


def is_alive(pid: int) -> bool:
    """Whether a process of this machine runs; one that has ended and that nobody has waited for does not."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def cores() -> int:
    """Cores that this process may use: those of the machine, of its Slurm task, of its share."""
    limits = [int(os.environ[k]) for k in ("NPROC", "SLURM_CPUS_PER_TASK") if os.environ.get(k, "").isdecimal()]
    return min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1, *limits, 10**6) or 1


def slurm_task() -> str:
    """The Slurm task that this process belongs to, as `squeue` names it; empty outside Slurm."""
    job, array, k = (os.environ.get(f"SLURM_{n}", "") for n in ("JOB_ID", "ARRAY_JOB_ID", "ARRAY_TASK_ID"))
    return f"{array}_{k}" if array and k else job


def slurm() -> dict[str, Any]:
    """The Slurm job that this process belongs to; empty outside Slurm."""
    names = ("job_id", "array_job_id", "array_task_id", "restart_count", "procid", "nodeid")
    found = {n: os.environ[f"SLURM_{n.upper()}"] for n in names if f"SLURM_{n.upper()}" in os.environ}
    return {"slurm": found} if "job_id" in found else {}


@functools.cache
def versions() -> dict[str, str]:
    """Versions of what the numbers depend on."""
    from importlib.metadata import version

    packages = ("dltheory", "jax", "jaxlib", "flax", "optax", "diffrax", "numpy", "scipy", "xarray")
    return {"python": ".".join(map(str, sys.version_info[:3])), **{p: version(p) for p in packages}}


@functools.cache
def git(root: Path) -> dict[str, Any]:
    """Commit of the checkout at `root` and whether it has uncommitted changes; empty if none is there."""
    ask = lambda *words: subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, timeout=20, check=True)
    try:
        if Path(ask("rev-parse", "--show-toplevel").stdout.strip()) != root:
            return {}
        return {"commit": ask("rev-parse", "HEAD").stdout.strip(), "dirty": bool(ask("status", "--porcelain").stdout.strip())}
    except (OSError, subprocess.SubprocessError):
        return {}
