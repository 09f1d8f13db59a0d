"""From command-line words to a typed, checked configuration: Hydra composes, records declare what is allowed.

`UserError` is the only error that means "the configuration is wrong"; its text is one line.
"""

import contextlib
import copy
import dataclasses
import difflib
import functools
import importlib
import importlib.util
import types
import typing
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ..record import allowed, check, check_value, is_group
from .store import HOUSE, one_line, short

CONF = HOUSE / "conf"
DEFAULT = "default"
KINDS = {float: "a number", int: "a whole number", bool: "true or false", str: "text"}


class UserError(Exception):
    """One line: the key, the value, what is allowed."""


class Configurator:
    """Reads configurations of one experiment: `read(["init_scale=0.1"])`."""

    def __init__(self, name: str) -> None:
        self.name = name
        if not importlib.util.find_spec(name):
            raise UserError(f"{name}: no such experiment; python -m experiments lists them")
        self.cls = importlib.import_module(name).Config
        self.groups = {f.name: f for f in dataclasses.fields(self.cls) if is_group(f.type)}
        self.sizes = {DEFAULT: {}, **getattr(self.cls, "sizes", {})}
        self._compose = functools.cache(self._compose_groups)

    def options(self, group: str) -> list[str]:
        """Names that a group takes: the records of the library and the presets under `conf/`."""
        if group == "size":
            return list(self.sizes)

        return [*self.groups[group].type.options, *self.presets(group)]  # type: ignore[union-attr]

    def presets(self, group: str) -> dict[str, str]:
        """{preset: the record it is based on} of the presets under `conf/`."""
        from omegaconf import OmegaConf

        based_on = {p.stem: OmegaConf.load(p).defaults[0] for p in sorted((CONF / group).glob("*.yaml"))}
        return {preset: base for preset, base in based_on.items() if base in self.groups[group].type.options}  # type: ignore[union-attr]

    def fields(self, overrides: Sequence[str]) -> dict[str, list[Any]]:
        """{dotted key: declarations} of everything that can be set: those of the options that these overrides choose, else of any."""
        chosen = {o.key_or_group: values_of(o) for o in map(parse, overrides) if o.key_or_group in self.groups}
        out: dict[str, list[Any]] = {f.name: [f] for f in dataclasses.fields(self.cls) if f.name not in self.groups}
        for group, f in self.groups.items():
            options, base = f.type.options, self.presets(group)  # type: ignore[union-attr]
            here = {base.get(str(name), str(name)) for name in chosen.get(group, [default_option(f)])}
            for names in (set(options) - here, set(options) & here):
                declared = [(f"{group}.{g.name}", g) for name in names for g in dataclasses.fields(options[name])]
                out |= {key: [g for k, g in declared if k == key] for key, _ in declared}
        return out

    def read(self, overrides: Sequence[str]) -> Any:
        """The configuration record of these overrides, checked; raises `UserError`."""
        from omegaconf import OmegaConf
        from omegaconf.errors import OmegaConfBaseException

        chosen, values = self._split(overrides)
        cfg = copy.deepcopy(self._compose(tuple(chosen)))
        for key, value in values:
            try:
                OmegaConf.update(cfg, key, value)
            except OmegaConfBaseException:
                group = key.partition(".")[0]
                keys = difflib.get_close_matches(key, [f"{group}.{k}" for k in cfg[group]], 1, 0) if group in self.groups else []
                raise UserError(f"{key}={value}: the chosen {group} has no such field; nearest is {' '.join(keys)}") from None
        return self.build(cfg)

    def build(self, cfg: Any) -> Any:
        """The record of a composed configuration, checked; raises `UserError`."""
        from omegaconf import OmegaConf
        from omegaconf.errors import OmegaConfBaseException

        try:
            config = OmegaConf.to_object(cfg)
            check(config)
        except (ValueError, OmegaConfBaseException) as error:
            raise UserError(one_line(error)) from None
        return config

    def check(self, overrides: Sequence[str], sweep: bool) -> None:
        """Raise `UserError` for the first override that names no field or gives it a value it cannot take."""
        fields = self.fields(overrides)
        self._check_size(overrides)
        for text in overrides:
            override = parse(text)
            key, values = override.key_or_group, values_of(override)
            if key.startswith(("hydra.", "hydra/")):
                if key != "hydra/launcher" and (not key.startswith("hydra.launcher.") or key.endswith("_target_")):
                    raise UserError(f"{key}: of Hydra's own settings only hydra/launcher and hydra.launcher.* can be chosen")
                continue
            if override.is_delete():
                raise UserError(f"{text}: fields cannot be removed")
            if override.is_sweep_override() and not sweep:
                raise UserError(f"{text}: several values need -m")
            if key in self.groups or key == "size":
                for value in values:
                    if value not in self.options(key):
                        raise UserError(f"{key}={value}: must be one of {', '.join(self.options(key))}")
            elif key not in fields:
                near = difflib.get_close_matches(key, [*fields, *self.groups, "size", "force", "strict"], 1, 0)
                raise UserError(f"{key}: no such key; nearest is {' '.join(near)} (--help lists all)")
            else:
                for value in values:
                    check_any(key, value, fields[key])

    def _check_size(self, overrides: Sequence[str]) -> None:
        """A size sets fields of a group's default option, so it cannot be had with another option."""
        words = [o.partition("=") for o in overrides]
        for size in (s for key, _, value in words if key == "size" for s in value.split(",")):
            for group in set(self.groups) & set(self.sizes.get(size, {})):
                for option in (value for key, _, value in words if key == group):
                    if option != default_option(self.groups[group]):
                        fields = ", ".join(f"{group}.{k}" for k in self.sizes[size][group])
                        raise UserError(f"{group}={option}: size={size} sets {fields} itself; choose one of the two")

    def hydra(self, overrides: Sequence[str]) -> Any:
        """Hydra's own settings by these `hydra/…` and `hydra.…` overrides; raises `UserError`."""
        return self._compose(tuple(overrides), True).hydra

    def figure(self, overrides: Sequence[str]) -> list[str]:
        """The sweep that makes the published figure, as overrides; those given win."""
        swept = getattr(self.cls, "figure", {})
        if not swept:
            raise UserError(f"figure=true: {short(self.name)} has no figure made of runs")
        given = {o.partition("=")[0] for o in overrides}
        spell = lambda values: values if isinstance(values, str) else ",".join(map(str, values))
        return [f"{key}={spell(values)}" for key, values in swept.items() if key not in given]

    def jobs(self, overrides: Sequence[str]) -> list[list[str]]:
        """The overrides of each job of a sweep, in Hydra's order."""
        from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

        (batch,) = BasicSweeper.split_arguments([parse(o) for o in overrides], max_batch_size=None)
        return [list(job) for job in batch]

    def _split(self, overrides: Sequence[str]) -> tuple[list[str], list[tuple[str, Any]]]:
        """Choices of options (which Hydra composes) and values of fields."""
        chosen: list[str] = []
        values: list[tuple[str, Any]] = []
        for text in overrides:
            override = parse(text)
            if override.key_or_group in self.groups or override.key_or_group == "size":
                chosen.append(text)
            elif not override.key_or_group.startswith(("hydra.", "hydra/")):
                values.append((override.key_or_group, override.value()))
        return chosen, values

    def _compose_groups(self, chosen: tuple[str, ...], with_hydra: bool = False) -> Any:
        from hydra import compose
        from hydra.errors import MissingConfigException

        self.register()
        with hydra_session(), hydra_errors():
            try:
                return compose(short(self.name), overrides=list(chosen), return_hydra_config=with_hydra)
            except MissingConfigException as error:
                choice = next((c for c in chosen if error.missing_cfg_file and error.missing_cfg_file.endswith(c.partition("=")[2])), "")
                raise UserError(f"{choice}: must be one of {', '.join(error.options or [])}") from None

    def register(self) -> None:
        """Tell Hydra the schema of this experiment, its groups and its sizes, in place of another experiment's."""
        from hydra.core.config_store import ConfigStore
        from hydra.core.plugins import Plugins
        from omegaconf import MISSING, OmegaConf

        store = ConfigStore.instance()
        Plugins.instance()  # launchers register their settings now; those in conf/ take the place of their namesakes
        for file in (CONF / "hydra" / "launcher").glob("*.yaml"):
            store.repo["hydra"]["launcher"].pop(file.name, None)
        schema = thawed(self.cls)
        defaults: list[Any] = []
        for group, f in self.groups.items():
            for option, cls in f.type.options.items():  # type: ignore[union-attr]
                is_default = cls is type(f.default)
                store.store(group=group, name=option, node=thawed(f.default if is_default else cls), package=group)
                if is_default:
                    defaults.append({group: option})
            schema[group] = MISSING
        for size, values in self.sizes.items():
            store.store(group="size", name=size, node=OmegaConf.create(values), package="_global_")
        store.store(name="schema", node=schema)
        node = {
            "defaults": ["base", "schema", *defaults, {"size": DEFAULT}, "_self_"],
            "hydra": {"job": {"name": short(self.name)}},
        }
        store.store(name=short(self.name), node=node)


@contextlib.contextmanager
def hydra_session() -> Iterator[None]:
    """Hydra initialised on `conf/`, whatever was initialised before."""
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    before = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            yield
    finally:
        GlobalHydra.instance().hydra = before


@contextlib.contextmanager
def hydra_errors() -> Iterator[None]:
    """Hydra's and OmegaConf's complaints become a `UserError`."""
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    try:
        yield
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(one_line(error)) from None


def parse(text: str) -> Any:
    """Hydra's reading of one override; raises `UserError`."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        return OverridesParser.create().parse_override(text)
    except HydraException as error:
        reason, key = one_line(error).split("See https")[0].strip(), text.partition("=")[0]
        hint = f"; text that is more than a name needs quotes of its own: {key}='\"…\"'" if "(" in text or "*" in text else ""
        raise UserError(f"{text}: cannot be read as key=value ({reason}){hint}") from None


def values_of(override: Any) -> list[Any]:
    """The values an override takes, several for a sweep; raises `UserError` for a sweep without a list."""
    from hydra.errors import HydraException

    if not override.is_sweep_override():
        return [override.value()]
    if override.is_discrete_sweep():
        with contextlib.suppress(HydraException):
            return list(override.sweep_iterator())
    raise UserError(f"{override.input_line}: list the values, as a,b,c or range(start,stop)")


def check_any(key: str, value: Any, declarations: Sequence[Any]) -> None:
    """Raise what is wrong with a value of the last of these declarations, unless it suits one of them."""
    wrong: UserError | None = None
    for field in declarations:
        try:
            check_type(key, value, field.type)
            return check_one(key, value, field.metadata)
        except UserError as error:
            wrong = error
    if wrong:
        raise wrong


def check_type(key: str, value: Any, kind: Any) -> None:
    """Raise `UserError` if a value read from the command line is not of the declared type."""
    wanted = [k for k in typing.get_args(kind) if k is not types.NoneType] if isinstance(kind, types.UnionType) else [kind]
    optional = isinstance(kind, types.UnionType) and types.NoneType in typing.get_args(kind)
    text = isinstance(value, str) and "${" in value
    number = isinstance(value, int | float) and not isinstance(value, bool)
    fits = {
        float: number,
        int: number and isinstance(value, int),
        bool: isinstance(value, bool),
        str: isinstance(value, str),
    }
    if not (text or (value is None and optional) or any(fits.get(k, False) for k in wanted)):
        shown = "null" if value is None else value
        raise UserError(f"{key}={shown}: must be {' or '.join(KINDS.get(k, str(k)) for k in wanted)}")


def check_one(key: str, value: Any, about: Any) -> None:
    """`record.check_value` with its complaint as a `UserError`."""
    try:
        check_value(key, value, about)
    except ValueError as error:
        raise UserError(str(error)) from None


def thawed(cls: Any) -> Any:
    """The schema of a frozen record as a node that overrides may change (OmegaConf makes frozen classes read-only)."""
    from omegaconf import DictConfig, OmegaConf

    def thaw(node: Any) -> Any:
        OmegaConf.set_readonly(node, None)
        for key in node:
            child = node._get_node(key)
            if isinstance(child, DictConfig) and not child._is_none() and not child._is_missing():
                thaw(child)
        return node

    return thaw(OmegaConf.structured(cls))


def describe(configurator: Configurator) -> str:
    """The help of an experiment: its docstring, and every field with its meaning, unit, default and range."""
    module = importlib.import_module(configurator.name)
    lines = [(module.__doc__ or "").strip(), "", "Fields (key=value; * = swept without compiling again):"]
    fields = dataclasses.fields(configurator.cls)
    lines += [row(f.name, f, f.default) for f in fields if f.name not in configurator.groups]
    for group, f in configurator.groups.items():
        lines += ["", f"{group}= {' | '.join(configurator.options(group))}   (default {default_option(f)})"]
        for option, cls in f.type.options.items():  # type: ignore[union-attr]
            shown = f.default if cls is type(f.default) else cls()
            lines.append(f"  {option}: {(cls.__doc__ or '').strip().splitlines()[0]}")
            lines += [row(f"{group}.{g.name}", g, getattr(shown, g.name)) for g in dataclasses.fields(cls)]
    lines += ["", f"size= {' | '.join(configurator.sizes)}"]
    for size, values in configurator.sizes.items():
        if values:
            lines.append(f"  {size}: {' '.join(f'{k}={v}' for k, v in dotted(values))}")
    lines += [
        "",
        "force=true computes again what is on disk; strict=true exits 1 if a gated claim fails.",
        "-m runs a sweep: key=a,b,c, key='range(0,5)', key='geomspace(0.1,10,7)' or linspace; figure=true is the published one.",
        "    hydra/launcher=vmap runs it as one program, joblib in processes, submitit_slurm on a cluster (runs_per_task=n jobs each).",
        "--cfg job prints the configuration.",
        f"Results appear under {Path('results') / 'runs' / short(configurator.name)} ($DLTHEORY_RESULTS moves them).",
    ]
    return "\n".join(lines)


def default_option(f: Any) -> str:
    """The name of a group field's default option."""
    return next(name for name, cls in f.type.options.items() if cls is type(f.default))


def row(key: str, f: Any, default: Any) -> str:
    """One field of the help."""
    mark = "*" if f.metadata["traced"] else " "
    shown = (
        "automatic"
        if default is None
        else str(default).lower()
        if isinstance(default, bool)
        else f"{default:g}"
        if isinstance(default, float)
        else default
    )
    unit = f" [{f.metadata['unit']}]" if f.metadata.get("unit") else ""
    limits = f"; {allowed(f.metadata)}" if allowed(f.metadata) else ""
    return f"  {mark} {key:24} {shown!s:12} {f.metadata['doc']}{unit}{limits}"


def dotted(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of nested dictionaries with their dotted keys."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from dotted(typing.cast("dict[str, Any]", value), f"{prefix}{key}.")
        else:
            yield prefix + key, value
