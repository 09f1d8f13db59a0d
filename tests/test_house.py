"""The rules of the house: who may import whom, and what an experiment consists of."""

import ast
from pathlib import Path

import pytest

HOUSE = Path(__file__).parents[1]
AREAS = {"infinite_width", "finite_width", "representation", "cheap_learning", "reusability", "statistical_physics"}
FLOORS = {
    "record": set(),
    "numerics": {"record"},
    "models": {"record", "numerics"},
    "data": {"record", "numerics"},
    "training": {"record", "numerics", "models"},
    **{area: {"record", "numerics", "models", "data", "training"} for area in AREAS},
    "lab": {"record", "numerics", "training"},
}
FLOORS["finite_width"] |= {"infinite_width"}
LIBRARY = sorted((HOUSE / "dltheory").rglob("*.py"))
EXPERIMENTS = sorted((HOUSE / "experiments").glob("[!_]*.py"))


def imports(path):
    """Full names of what a file imports, wherever in the file."""
    package = ".".join(path.relative_to(HOUSE).with_suffix("").parts[:-1])
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: 1 - node.level or None] if node.level else []
            base = ".".join([*parents, *filter(None, [node.module])])
            yield base
            yield from (f"{base}.{a.name}" for a in node.names)


def floor(name):
    parts = name.split(".")
    return parts[1] if parts[0] == "dltheory" and len(parts) > 1 else None


@pytest.mark.parametrize("path", LIBRARY, ids=lambda p: str(p.relative_to(HOUSE)))
def test_each_floor_imports_only_from_below(path):
    own = path.relative_to(HOUSE / "dltheory").parts[0].removesuffix(".py")
    if own == "__init__":
        return
    for name in imports(path):
        assert name.partition(".")[0] != "experiments"
        if floor(name) in FLOORS:
            assert floor(name) == own or floor(name) in FLOORS[own], f"{own} imports {name}"
        if own != "lab":
            assert name.partition(".")[0] not in {"hydra", "omegaconf", "xarray", "matplotlib", "rich"}, f"{own} imports {name}"


@pytest.mark.parametrize("path", LIBRARY, ids=lambda p: str(p.relative_to(HOUSE)))
def test_library_prints_nothing(path):
    if "lab" in path.parts:
        return
    calls = [n.func.id for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)]
    assert not {"print", "input", "exec", "eval"} & set(calls)


def test_heavy_libraries_are_imported_inside_functions():
    for path in [*LIBRARY, *EXPERIMENTS]:
        top = [n for n in ast.parse(path.read_text()).body if isinstance(n, ast.Import | ast.ImportFrom)]
        names = {(n.module or "") if isinstance(n, ast.ImportFrom) else n.names[0].name for n in top}
        heavy = {"diffrax", "optimistix", "xarray", "matplotlib", "sklearn", "scipy"}
        assert not heavy & {n.partition(".")[0] for n in names}, path
        if "models" not in path.parts:
            assert not any(n.startswith("flax") for n in names), path


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda p: p.stem)
def test_an_experiment_has_its_public_names_and_nothing_else(path):
    tree = ast.parse(path.read_text())
    names = {n.name for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef) and not n.name.startswith("_")}
    assert {"Config", "Result", "run", "claims", "plot"} <= names
    assert names <= {"Config", "Result", "load", "run", "claims", "claims_sweep", "tables", "plot", "plot_sweep"}
    text = ast.get_docstring(tree)
    for part in ("Source:", f"python -m experiments.{path.stem}", "Expect:", "Time:"):
        assert part in text


def test_precision_is_set_in_one_place():
    found = [p.relative_to(HOUSE) for p in [*LIBRARY, *EXPERIMENTS] if "jax_enable_x64" in p.read_text()]
    assert found == [Path("dltheory/__init__.py")]
