"""List the experiments, reading docstrings and importing nothing of them; or see to a sweep.

python -m experiments                    every experiment: name, claim, source, time
python -m experiments status             every sweep under the results directory
python -m experiments status <sweep>     how its jobs stand, on disk and at the scheduler
python -m experiments resume <sweep>     do, or submit again, only what is missing or failed
python -m experiments collect <sweep>    its table, dataset, claims and figure again; computes nothing

<sweep> is a sweep directory or its last name.
"""

import ast
import sys
from pathlib import Path


def listing() -> str:
    """Name, claim, source and time of every experiment."""
    lines = ["python -m experiments.<name> [key=value …]   (--help shows every key)", ""]
    for path in sorted(Path(__file__).parent.glob("[!_]*.py")):
        text = ast.get_docstring(ast.parse(path.read_text())) or ""
        facts = [line for line in text.splitlines() if line.startswith(("Source:", "Time:"))]
        lines += [f"{path.stem}: {text.partition(chr(10))[0]}", *(f"    {line}" for line in facts), ""]
    return "\n".join([*lines, "python -m experiments status | resume | collect <sweep>   (--help says more)"])


if __name__ == "__main__":
    if len(sys.argv) == 1:
        print(listing())
    elif {"-h", "--help"} & set(sys.argv):
        print(__doc__, end="")
    else:
        from dltheory.lab.overview import main

        main(sys.argv[1:])
