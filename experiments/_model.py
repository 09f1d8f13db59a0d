"""A counted model, array by array: what holds for any, its table and its figure."""

import math

import numpy as np

from dltheory.lab import TWO_COLUMNS, Claim, about, at_least

SIZES = {"N_G": "parameters", "N_W": "weight_nodes", "N_I": "inputs", "N_O": "outputs"}
BITS = {"log2 Z": "log_partition", "E[log2 C]": "expected_spread", "H": "entropy", "P_S": "surprisal_score", "P_E": "spread_score"}
LOG, COMMA = r"\log_2 ", "{,}"
LABELS = 60
"""Arrays that the figure names; of more, every second or third."""


def claims(data) -> list[Claim]:
    """Identities, and whether parameters are reused."""
    get = lambda name: float(data[f"whole_{name}"][0])
    parts = (get("entropy") + get("expected_spread")) / get("log_partition")
    return [
        Claim("(H + E[log2 C]) / log2 Z", "page 1.1", parts, about(1, 1e-9)),
        Claim("sum of p over all arrays", "page 1.1", data.layers_share.values.sum(), about(1, 1e-9)),
        Claim("parameters are reused: E[log2 C]", "S0", get("expected_spread"), at_least(1e-9), False),
    ]


def tables(data) -> dict[str, list[dict[str, str]]]:
    """The arrays of parameters in the order of their use, and the whole."""
    columns = ("name", "dimensions", "parameters", "used", "smallest", "largest", "share")
    rows = [
        {
            "parameters": name,
            "shape": shape,
            "number": f"{size:,}",
            "with a context": f"{used:,}",
            "smallest C": _count(low) if used else "",
            "largest C": _count(high) if used else "",
            "log2": f"{high:.3f}" if used else "",
            "share of p": f"{100 * share:.3g} %",
        }
        for name, shape, size, used, low, high, share in zip(*(data[f"layers_{c}"].values for c in columns), strict=True)
    ]
    return {f"contexts in {_name(data)}, first used first": rows, "the whole, logarithms in bits": [_whole(data)]}


def _count(log2) -> str:
    """An integer of less than ten digits exactly, else a power of two."""
    return f"{round(2**log2):,}" if log2 < math.log2(1e9) else f"2^{log2:.3f}"


def _name(data) -> str:
    name = str(data["model"].values)
    return str(data["model.path"].values) if name == "own" else name


def _whole(data) -> dict[str, str]:
    get = lambda name: float(data[f"whole_{name}"][0])
    return {k: f"{get(name):,.0f}" for k, name in SIZES.items()} | {k: f"{get(name):.3f}" for k, name in BITS.items()}


def plot(data):
    """The range of log2 C in each array of parameters, and its share of p, from the first that is used to the last."""
    import matplotlib.pyplot as plt

    names, used = data.layers_name.values, data.layers_used.values > 0
    rows = np.arange(len(names))
    figure, axes = plt.subplots(1, 2, figsize=(TWO_COLUMNS, min(9.0, 1.2 + 0.13 * len(rows))), sharey=True, width_ratios=[2, 1])
    low, high, share = (data[f"layers_{name}"].values for name in ("smallest", "largest", "share"))
    axes[0].hlines(rows[used], low[used], high[used], color="C0", linewidth=3, alpha=0.4)
    axes[0].plot(high[used], rows[used], "o", color="C0", markersize=3)
    axes[0].set(xlabel="$\\log_2 C$ (bit), smallest to largest")
    axes[1].barh(rows, share, color="C1", height=0.7)
    axes[1].set(xlabel="share of $p$")
    shown = (f"${k.replace('log2', LOG)}={value.replace(',', COMMA)}$" for k, value in _whole(data).items())
    figure.suptitle(f"{_name(data)}\n" + ",  ".join(shown), fontsize=7)
    every = -(-len(rows) // LABELS)
    axes[0].set_yticks(rows[::every], names[::every], fontsize=5.5)
    axes[0].set_ylim(len(rows) - 0.5, -0.5)
    return figure
