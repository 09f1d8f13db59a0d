"""A claim: a measured number, with its error, against the interval that a paper or its theory expects."""

import math
from dataclasses import dataclass
from typing import Any

from ..numerics import Estimate

ERROR_BARS = 2.0
"""A verdict is open while this many standard errors cross the edge of the interval."""


@dataclass(frozen=True)
class Interval:
    """Closed interval of expected values."""

    low: float
    high: float

    def __str__(self) -> str:
        if self.low == self.high:
            return f"{self.low:.4g}"
        if math.isinf(self.low):
            return f"≤ {self.high:.4g}"
        return f"≥ {self.low:.4g}" if math.isinf(self.high) else f"{self.low:.4g} … {self.high:.4g}"


def between(low: float, high: float) -> Interval:
    """low … high."""
    return Interval(float(low), float(high))


def about(value: float, relative: float = 0.0, absolute: float = 0.0) -> Interval:
    """value ± (relative × |value| + absolute)."""
    half = relative * abs(float(value)) + absolute
    return Interval(float(value) - half, float(value) + half)


def at_most(value: float) -> Interval:
    """≤ value."""
    return Interval(-math.inf, float(value))


def at_least(value: float) -> Interval:
    """≥ value."""
    return Interval(float(value), math.inf)


@dataclass(frozen=True)
class Claim:
    """One sentence of a paper with the number that decides it.

    `measured` is an `Estimate` or an exact number. `gated=False` marks what is reported and never fails a run; `domain=False` says
    that the run lies outside the domain that the claim speaks of.
    """

    statement: str
    source: str
    measured: Any
    expected: Interval
    gated: bool = True
    domain: bool = True

    @property
    def value(self) -> float:
        """The measured number."""
        return float(self.measured.mean if isinstance(self.measured, Estimate) else self.measured)

    @property
    def error(self) -> float:
        """Its standard error; 0 for an exact number."""
        return float(self.measured.standard_error) if isinstance(self.measured, Estimate) else 0.0

    @property
    def verdict(self) -> str:
        """holds, fails, or open: the error bar crosses the edge, a number is not finite, or the run is outside the domain."""
        if not self.domain or not math.isfinite(self.value) or not math.isfinite(self.error):
            return "open"
        reach = ERROR_BARS * self.error
        low, high = self.value - reach, self.value + reach
        if self.expected.low <= low and high <= self.expected.high:
            return "holds"
        return "fails" if high < self.expected.low or low > self.expected.high else "open"

    def as_dict(self) -> dict[str, Any]:
        """What `claims.json` keeps."""
        finite = lambda x: x if math.isfinite(x) else None
        return {
            "statement": self.statement,
            "source": self.source,
            "measured": finite(self.value),
            "standard_error": finite(self.error),
            "count": int(self.measured.count) if isinstance(self.measured, Estimate) else None,
            "expected": str(self.expected),
            "low": finite(self.expected.low),
            "high": finite(self.expected.high),
            "gated": self.gated,
            "verdict": self.verdict,
        }


MARKS = {"holds": ("✓", "green"), "fails": ("✗", "red"), "open": ("·", "yellow")}


def number(claim: dict[str, Any]) -> str:
    """The measured number of a claim as kept in `claims.json`, with its standard error."""
    value, error = claim["measured"], claim["standard_error"]
    return "not finite" if value is None else f"{value:.3g}" + (f" ± {error:.1g}" if error else "")


def table(claims: list[dict[str, Any]], title: str = "claims") -> Any:
    """A rich table of claims as kept in `claims.json`."""
    from rich.markup import escape
    from rich.table import Table

    out = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for name in ("", "claim", "measured", "expected", "source"):
        out.add_column(name, overflow="fold", justify="right" if name == "measured" else "left", no_wrap=name == "expected")
    for claim in claims:
        mark, colour = MARKS[claim["verdict"]]
        reported = "" if claim["gated"] else " (reported)"
        out.add_row(
            f"[{colour}]{mark}[/]", escape(claim["statement"]) + reported, number(claim), claim["expected"], escape(claim["source"])
        )
    return out
