"""Two-point effective theory of representation learning.

Claim (van Rossem & Saxe, "When Representations Align", ICML 2024, arXiv:2402.09142): when two nearby inputs are followed through
the training of an expressive network, the squared distance h of their hidden representations, the squared distance y of their
predictions and the alignment w of prediction and target gap obey

    dh/dt = - η_h X w
    dy/dt = - w (η_y h + η_h X y / h)                                                                                  (1)
    dw/dt = - ½ η_y h (3w - y + S) - ½ η_h X (w/h)(y + w)

whatever the architecture, which enters through two constants only, the effective learning rates of encoder and decoder.

| symbol | name | meaning |
| --- | --- | --- |
| h, y, w | `TwoPoint` | \\|dh\\|², \\|dy\\|², dy·(dy - dy*) |
| X, S | `Geometry.dx2`, `.dy2` | \\|dx\\|², \\|dy*\\|² |
| η_h, η_y | `Rates.hidden`, `.output` | effective learning rates |
| C | `invariant` | h/(η_h X) - y/(η_y h) |
| A_low, A_high, h_∞ | `plateau`, `retained_distance`, `final_distance` | formula (3) |
| g_c | `critical_gain` | gain where the initial distance equals A_low |
"""

from .altered import ALTERED, Alteration, integrate
from .crossover import critical_gain, critical_scale, expected_initial_distance
from .fit import MISFIT_LIMITS, FitFlags, RateFit, fit_midpoint_rate, fit_rates, transition_end
from .follow import (
    Followed,
    Trajectory,
    fit_each,
    fit_together,
    follow,
    geometry_of,
    geometry_of_points,
    initial_distance,
    train_and_follow,
    trajectory,
)
from .measurement import measure, midpoint_error, pair_loss
from .similarity import cka, rsa, squared_distances
from .special_cases import aligned, balanced, merging
from .two_point import (
    Geometry,
    Rates,
    TwoPoint,
    final_distance,
    invariant,
    plateau,
    regular_field,
    relaxation_rates,
    retained_distance,
    solve,
    to_regular,
    vector_field,
)
from .validity import Validity, validity

__all__ = [
    "ALTERED",
    "MISFIT_LIMITS",
    "Alteration",
    "FitFlags",
    "Followed",
    "Geometry",
    "RateFit",
    "Rates",
    "Trajectory",
    "TwoPoint",
    "Validity",
    "aligned",
    "balanced",
    "cka",
    "critical_gain",
    "critical_scale",
    "expected_initial_distance",
    "final_distance",
    "fit_each",
    "fit_midpoint_rate",
    "fit_rates",
    "fit_together",
    "follow",
    "geometry_of",
    "geometry_of_points",
    "initial_distance",
    "integrate",
    "invariant",
    "measure",
    "merging",
    "midpoint_error",
    "pair_loss",
    "plateau",
    "regular_field",
    "relaxation_rates",
    "retained_distance",
    "rsa",
    "solve",
    "squared_distances",
    "to_regular",
    "train_and_follow",
    "trajectory",
    "transition_end",
    "validity",
    "vector_field",
]
