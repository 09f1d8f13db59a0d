"""List the experiments, reading docstrings and importing nothing of them."""

import ast
from pathlib import Path


def listing() -> str:
    """Name, claim, source and time of every experiment."""
    lines = ["python -m experiments.<name> [key=value …]   (--help shows every key)", ""]
    for path in sorted(Path(__file__).parent.glob("[!_]*.py")):
        text = ast.get_docstring(ast.parse(path.read_text())) or ""
        facts = [line for line in text.splitlines() if line.startswith(("Source:", "Time:"))]
        lines += [f"{path.stem}: {text.partition(chr(10))[0]}", *(f"    {line}" for line in facts), ""]
    return "\n".join(lines)


if __name__ == "__main__":
    print(listing())
