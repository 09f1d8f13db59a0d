"""Locks: one owner at a time, taken over from the dead, never from the living, whatever the clocks say."""

import errno
import json
import multiprocessing
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from dltheory.lab import lock
from dltheory.lab.lock import Locks, lock_of, owner
from dltheory.lab.machine import machine
from dltheory.lab.store import StoreError


@pytest.fixture
def path(tmp_path):
    return lock_of(tmp_path / "runs" / "abc")


def plant(path, **about):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"machine": "elsewhere", "pid": 1, "started": "1", "token": "x"} | about))


def test_one_owner_at_a_time_and_nothing_left(path):
    with Locks() as first, Locks() as second:
        assert first.take(path) and not first.take(path) and not second.take(path)
        assert owner(path) == (f"process {os.getpid()} on {machine()}", "")
        first.release(path)
        assert owner(path) is None and second.take(path) and not first.take(path)
    assert not path.exists() and not path.parent.exists(), "what was made for the lock alone is gone"


def test_a_dead_owner_of_this_machine_is_replaced_at_once(path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    plant(path, machine=machine(), pid=gone.pid)
    with Locks() as locks:
        assert owner(path) is None and locks.take(path)


def test_the_lock_that_a_dead_owner_left_beside_a_finished_run_is_cleared(path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    with Locks() as locks, Locks() as others:
        locks.clear(path)
        plant(path, machine=machine(), pid=gone.pid)
        locks.clear(path)
        assert not path.exists()
        assert others.take(path)
        locks.clear(path)
        assert path.exists(), "a living owner keeps its lock"


def test_a_dead_owner_that_nobody_waited_for_is_replaced_at_once(path):
    """A zombie: killed, its parent busy with other things."""
    zombie = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    plant(path, machine=machine(), pid=zombie.pid, started=lock._started(zombie.pid))
    with Locks() as locks:
        assert not locks.take(path)
        zombie.kill()
        time.sleep(0.5)
        assert owner(path) is None and locks.take(path)
    zombie.wait()


def test_a_full_disk_leaves_no_empty_lock(path, monkeypatch):
    honest = Path.open

    class Full:
        def __init__(self, file):
            self.file = file

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.file.close()

        def write(self, text):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "open", lambda self, mode="r", *a, **k: (Full if mode == "x" else lambda f: f)(honest(self, mode, *a, **k)))
    with Locks() as locks, pytest.raises(StoreError, match="No space left"):
        locks.take(path)
    assert not path.exists()


def test_a_process_number_used_again_is_not_the_owner(path):
    plant(path, machine=machine(), pid=os.getpid(), started="0")
    with Locks() as locks:
        assert owner(path) is None and locks.take(path)


@pytest.mark.parametrize("skew", [-86400.0, 0.0, 86400.0])
def test_an_owner_elsewhere_counts_as_gone_when_its_lock_stops_changing_whatever_its_clock_says(path, skew):
    plant(path)
    os.utime(path, (time.time() + skew,) * 2)
    with Locks(patience=0.3) as locks:
        assert not locks.take(path), "seen for the first time, it may live"
        time.sleep(0.15)
        assert not locks.take(path)
        time.sleep(0.3)
        assert locks.take(path)


@pytest.mark.parametrize("skew", [-86400.0, 86400.0])
def test_an_owner_elsewhere_that_beats_keeps_its_lock_whatever_its_clock_says(path, skew):
    plant(path)
    with Locks(patience=0.3) as locks:
        for beat in range(8):
            os.utime(path, (time.time() + skew + beat,) * 2)
            assert not locks.take(path)
            time.sleep(0.1)


def test_the_owner_beats(path):
    with Locks(beat=0.05) as locks:
        assert locks.take(path)
        os.utime(path, (0, 0))
        time.sleep(0.5)
        assert path.stat().st_mtime > 0


def test_a_half_written_lock_is_waited_for_and_then_replaced(path):
    path.parent.mkdir(parents=True)
    path.write_text('{"machine": "el')
    with Locks(patience=0.1) as locks:
        assert not locks.take(path)
        time.sleep(0.2)
        assert locks.take(path)


def test_what_was_taken_over_is_neither_released_nor_kept_alive(path):
    """A process that was suspended for long wakes up after another has its lock."""
    with Locks(beat=0.05) as sleeper:
        assert sleeper.take(path)
        plant(path)
        os.utime(path, (0, 0))
        time.sleep(0.3)
        assert path.stat().st_mtime == 0
        sleeper.release(path)
        assert path.exists()


def test_breaking_puts_a_fresh_lock_back(path):
    """Between judging a lock and breaking it, its owner was replaced by a living one."""
    plant(path, token="old")
    old = path.read_text()
    plant(path, token="fresh")
    with Locks() as locks:
        locks._break(path, old)
    assert json.loads(path.read_text())["token"] == "fresh" and len(list(path.parent.iterdir())) == 1


def _count(path, start, won):
    start.wait()
    with Locks() as locks:
        if locks.take(path):
            won.put(os.getpid())
            time.sleep(1)


def test_of_many_processes_at_once_one_wins_even_over_a_dead_owner(path):
    plant(path, machine=machine(), pid=2**22 + 1)
    context = multiprocessing.get_context("spawn")
    start, won = context.Event(), context.Queue()
    processes = [context.Process(target=_count, args=(path, start, won)) for _ in range(6)]
    for p in processes:
        p.start()
    time.sleep(1)
    start.set()
    for p in processes:
        p.join(60)
    assert won.qsize() >= 1
    first = {won.get() for _ in range(won.qsize())}
    assert len(first) == 1


def test_threads_of_one_process_exclude_each_other(path):
    with Locks() as locks:
        won = []
        threads = [threading.Thread(target=lambda: won.append(locks.take(path))) for _ in range(8)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
    assert sum(won) == 1


def test_a_lock_that_cannot_be_made_is_a_store_error(tmp_path):
    (tmp_path / "file").write_text("")
    with Locks() as locks, pytest.raises(StoreError, match="free the disk or set DLTHEORY_RESULTS"):
        locks.take(lock_of(tmp_path / "file" / "abc"))
