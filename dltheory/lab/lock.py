"""One run is computed by one process at a time, also across the nodes of a cluster.

A lock is a file that is created atomically and touched by its owner every few seconds. On the same machine an owner is gone when its
process is; elsewhere when the file has not changed for `patience` seconds of the *waiting* process's clock, so that no two clocks
are ever compared. Locks save work and nothing else: what keeps results whole is that a run appears by one rename (`store.Draft`).
"""

import contextlib
import json
import os
import threading
import time
import uuid
from pathlib import Path
from typing import Any

from .machine import is_alive, machine, slurm_task
from .store import storing


def lock_of(run: Path) -> Path:
    """The lock file of a run directory."""
    return run.with_name(f".{run.name}.lock")


def owner(lock: Path) -> tuple[str, str] | None:
    """Who holds a lock, in words, and its Slurm task; None if nobody does or its owner on this machine is gone."""
    try:
        text = lock.read_text()
    except FileNotFoundError:
        return None
    about = _parsed(text)
    words = f"process {about.get('pid', '?')} on {about.get('machine', 'an unknown machine')}"
    return None if _is_dead(about) else (words, about.get("slurm", ""))


class Locks:
    """The locks that this process holds, kept alive by a thread, and what it has seen of others'. Ends with its `with` block."""

    def __init__(self, beat: float = 10.0, patience: float = 120.0) -> None:
        self.beat, self.patience = beat, patience
        self._held: dict[Path, str] = {}
        self._made: list[Path] = []
        self._seen: dict[Path, tuple[Any, float]] = {}
        self._guard, self._over = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._keep_alive, daemon=True)

    def __enter__(self) -> "Locks":
        self._thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._over.set()
        for path in list(self._held):
            self.release(path)
        for folder in reversed(self._made):
            with contextlib.suppress(OSError):
                folder.rmdir()  # nothing was stored there

    def take(self, path: Path) -> bool:
        """Whether the lock is now ours; raises `StoreError` where none can be made."""
        if self._create(path):
            return True
        if (judged := self._abandoned(path)) is None:
            return False
        self._break(path, judged)
        return self._create(path)

    def release(self, path: Path) -> None:
        """Give a lock back, unless it was taken over meanwhile."""
        with self._guard:
            text = self._held.pop(path, None)
            with contextlib.suppress(OSError):
                if path.read_text() == text:
                    path.unlink()

    def clear(self, path: Path) -> None:
        """Remove the lock of a finished run whose owner died before giving it back."""
        if path.exists() and (judged := self._abandoned(path)) is not None:
            self._break(path, judged)

    def _create(self, path: Path) -> bool:
        about = {"machine": machine(), "pid": os.getpid(), "started": _started(os.getpid()), "slurm": slurm_task()}
        text = json.dumps(about | {"token": uuid.uuid4().hex})
        with storing(path):
            absent = [p for p in (path.parent, *path.parent.parents) if not p.exists()]
            path.parent.mkdir(parents=True, exist_ok=True)
            self._made += reversed(absent)
            try:
                file = path.open("x")
            except FileExistsError:
                return False
            try:
                with file:
                    file.write(text)
            except OSError:
                path.unlink()
                raise
        with self._guard:
            self._held[path] = text
        return True

    def _abandoned(self, path: Path) -> str | None:
        """What a lock says whose owner is gone; None if its owner may live."""
        try:
            text, changed = path.read_text(), path.stat().st_mtime_ns
        except FileNotFoundError:
            return None
        if _is_dead(_parsed(text)):
            return text
        before, since = self._seen.get(path, (None, 0.0))
        if before != (text, changed):
            self._seen[path] = (text, changed), time.monotonic()
            return None
        return text if _parsed(text).get("machine") != machine() and time.monotonic() - since > self.patience else None

    def _break(self, path: Path, judged: str) -> None:
        """Remove the lock that was judged abandoned; one that somebody made meanwhile is put back."""
        aside = path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}")
        with contextlib.suppress(FileNotFoundError):
            os.rename(path, aside)
            if aside.read_text() != judged:
                with contextlib.suppress(OSError):
                    os.link(aside, path)
            aside.unlink()

    def _keep_alive(self) -> None:
        while not self._over.wait(self.beat):
            with self._guard:
                for path, text in self._held.items():
                    with contextlib.suppress(OSError):
                        if path.read_text() == text:
                            os.utime(path)


def _parsed(text: str) -> dict[str, Any]:
    """What a lock says of its owner; nothing if it was half-written."""
    with contextlib.suppress(ValueError):
        about = json.loads(text)
        return about if isinstance(about, dict) else {}
    return {}


def _is_dead(about: dict[str, Any]) -> bool:
    """Whether the owner was a process of this machine that is gone, its number perhaps used again."""
    if about.get("machine") != machine():
        return False
    return not is_alive(about["pid"]) or _started(about["pid"]) != about["started"]


def _started(pid: int) -> str:
    """When a process of this machine started, in clock ticks since boot; empty where that cannot be known."""
    with contextlib.suppress(OSError, IndexError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    return ""
