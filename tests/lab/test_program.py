"""One program for many runs: in threads, vmapped, spread over devices; what fails fails alone."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax
import numpy as np
import pytest
from lab.decay import Config

from dltheory.data import Digits
from dltheory.lab.configuration import UserError
from dltheory.lab.program import Program
from dltheory.models import MLPConfig
from experiments import rich_lazy

NETWORKS = {"networks": 2, "references": 2, "steps": 60, "model": MLPConfig(width=6, hidden_layers=3)}


@pytest.fixture
def program():
    return Program("lab.decay")


def close(a, b):
    """Curves of networks equal to float32 rounding, over their largest value."""
    for x, y in ((a.observed, b.observed), (a.loss, b.loss), (a.plateau, b.plateau)):
        for left, right in zip(jax.tree.leaves(x), jax.tree.leaves(y), strict=True):
            np.testing.assert_allclose(left, right, atol=2e-5 * np.abs(right).max())


def exact(config, outcome):
    """Whether an outcome is the closed form of its own configuration."""
    start = np.random.default_rng(config.seed).normal(1, 0.1, config.count)
    powers = (1 - config.rate) ** np.arange(config.steps)
    assert outcome.error is None
    np.testing.assert_allclose(outcome.result.x, np.outer(powers, start), rtol=1e-10)


def test_threads_give_the_bits_of_a_loop_with_one_program():
    program = Program("experiments.rich_lazy")
    configs = [rich_lazy.Config(seed=k, **NETWORKS) for k in range(5)]
    with ThreadPoolExecutor(3) as threads:
        together = list(threads.map(program, configs))
    assert len(program._compiled) == 1
    for config, outcome in zip(configs, together, strict=True):
        alone = program(config)
        assert outcome.error is None and alone.error is None
        jax.tree.map(np.testing.assert_array_equal, outcome.result, alone.result)


def test_lanes_are_the_same_networks_with_one_program():
    program = Program("experiments.rich_lazy")
    configs = [rich_lazy.Config(seed=k, init_scale=s, **NETWORKS) for k, s in enumerate((0.1, 0.3, 1.0, 2.0, 5.0, 10.0))]
    together = program.many(configs[:4], 4) + program.many(configs[4:], 4)
    assert len(program._compiled) == 1
    for config, outcome in zip(configs, together, strict=True):
        assert outcome.error is None and set(outcome.seconds) == {"compile", "run"}
        close(outcome.result, program(config).result)


@pytest.mark.parametrize("lanes", [1, 2, 3, 7, 20])
def test_every_lane_is_its_own_configuration_also_in_an_unfilled_batch(program, lanes):
    configs = [Config(rate=0.01 * k, seed=k) for k in range(7)]
    for start in range(0, 7, lanes):
        part = configs[start : start + lanes]
        for config, outcome in zip(part, program.many(part, lanes), strict=True):
            exact(config, outcome)
    assert len(program._compiled) <= 2


def test_data_that_runs_share_are_not_copied_for_each(program):
    configs = [Config(seed=k) for k in range(3)]
    loaded = [program._load(c) for c in configs]
    assert program._shared_leaves(configs[0], loaded) == ((True, False),)
    arguments = program._prepared(configs, loaded, 3)[1]
    assert arguments[1][0].shape == (1000,) and arguments[1][1].shape == (3, 1)
    again = [program._load(c) for c in [Config(seed=0)] * 2]
    assert program._shared_leaves(configs[0], again) == ((True, False),), "what differed once stays apart: one program"


def test_images_are_shared_and_the_followed_pair_is_not():
    program = Program("experiments.rich_lazy")
    configs = [rich_lazy.Config(seed=k, data=Digits(points=40)) for k in range(3)]
    (train, held, pair) = program._shared_leaves(configs[0], [program._load(c) for c in configs])[0]
    assert all(jax.tree.leaves((train, held))) and not pair


def test_a_run_that_cannot_load_or_diverges_takes_no_other_with_it(program):
    configs = [Config(seed=k, broken=1, rate=1e6 if k == 3 else 0.1, steps=80) for k in range(6)]
    for lanes in (1, 4):
        outcomes = program.many(configs, lanes)
        assert isinstance(outcomes[1].error, UserError) and "its data are broken" in str(outcomes[1].error)
        assert not np.isfinite(outcomes[3].result.x).all()
        for k in (0, 2, 4, 5):
            exact(configs[k], outcomes[k])


def test_a_batch_that_fails_is_halved_until_only_the_culprit_fails(monkeypatch):
    """The program itself fails whenever seed 3 is among the runs, as when memory runs out."""
    program = Program("lab.decay")
    honest, tried = Program._compile, []

    def faulty(self, kind, arguments, make):
        seeds = np.atleast_1d(arguments[0].seed)
        tried.append(len(seeds))
        if 3 in seeds:
            raise MemoryError("planted")
        return honest(self, kind, arguments, make)

    monkeypatch.setattr(Program, "_compile", faulty)
    configs = [Config(seed=k) for k in range(8)]
    outcomes = program.many(configs, 8)
    assert [o.error is None for o in outcomes] == [k != 3 for k in range(8)]
    assert isinstance(outcomes[3].error, MemoryError) and tried[0] == 8
    for k in (0, 2, 4, 7):
        exact(configs[k], outcomes[k])


def test_lanes_fit_the_memory_of_the_device(program, monkeypatch):
    configs = [Config(seed=k, count=1000) for k in range(16)]
    need = program._prepared(configs, [program._load(c) for c in configs], 16)[0].memory_analysis()
    total = need.temp_size_in_bytes + need.argument_size_in_bytes + need.output_size_in_bytes

    class Device:
        def memory_stats(self):
            return {"bytes_limit": total / 2}

    assert program.fitting(configs, 16) == 16
    honest = jax.local_devices()
    monkeypatch.setattr(jax, "local_devices", lambda: [Device()] if sys._getframe(1).f_code.co_name == "fitting" else honest)
    assert program.fitting(configs, 16) in {2, 4}


def test_what_goes_wrong_in_fitting_is_left_for_the_runs_to_say(program, monkeypatch):
    """No point can be read; or the experiment's own code raises while it is traced."""
    unreadable = [Config(seed=2, broken=2) for _ in range(4)]
    assert program.fitting(unreadable, 4) == 4
    assert [str(o.error) for o in program.many(unreadable, 4)] == ["seed=2: its data are broken"] * 4

    def raises(config, data):
        raise RuntimeError("planted")

    monkeypatch.setattr(program.module, "run", raises)
    configs = [Config(seed=k) for k in range(4)]
    assert program.fitting(configs, 4) == 4
    assert [str(o.error) for o in program.many(configs, 4)] == ["planted"] * 4


def test_eight_devices_share_a_sweep_with_the_same_results_and_one_compilation(tmp_path):
    """In a process of its own, since devices are counted once."""
    code = """
        import sys; sys.path[:0] = [{house!r}, {house!r} + "/tests"]
        import jax, numpy as np
        from lab.test_program import NETWORKS, close
        from dltheory.lab.program import Program, device_count
        from experiments.rich_lazy import Config
        assert device_count() == 8
        program = Program("experiments.rich_lazy")
        configs = [Config(seed=k, **NETWORKS) for k in range(11)]
        assert program.plan(configs, None) == (1, 8, 1) and program.plan(configs, 2) == (1, 16, 2)
        for lanes in (1, 2):
            outcomes = program.many(configs[:8], lanes) + program.many(configs[8:], lanes)
            assert len(program._compiled) == lanes, program._compiled.keys()
            assert not [o.error for o in outcomes if o.error]
        alone = [Program("experiments.rich_lazy")(c).result for c in (configs[0], configs[9])]
        close(outcomes[0].result, alone[0]); close(outcomes[9].result, alone[1])
        print("same")
    """
    import textwrap

    house = str(Path(__file__).parents[2])
    env = os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=8", "JAX_PLATFORMS": "cpu"}
    out = subprocess.run([sys.executable, "-c", textwrap.dedent(code.format(house=house))], env=env, capture_output=True, text=True)
    assert out.stdout.strip() == "same", out.stderr
