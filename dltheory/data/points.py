"""Labelled points (x, y*), a training and a test set of them, and the configuration group "data" that loads them."""

import dataclasses
from typing import Any

import jax
import numpy as np
from jaxtyping import Float64, Int64

from ..record import Group, array, record


@record
class Points:
    """Inputs x, targets y* and classes of some points, on the host; at full double precision until training casts them."""

    x: Float64[np.ndarray, "points inputs"] = array("inputs x")
    y: Float64[np.ndarray, "points outputs"] = array("targets y*")
    label: Int64[np.ndarray, "points"] = array("classes, counted from 0")


@record
class Dataset:
    """The points to train on and those held out, possibly none."""

    train: Points
    test: Points


@record
class Data(Group):
    """Where points come from: the options of the configuration group "data"."""

    batch = 0  # points per training step, 0: all; a field where there is a choice

    def load(self) -> Dataset:
        """The points; `ValueError` if a field is outside its range."""
        raise NotImplementedError


def without_test(train: Points) -> Dataset:
    """All points for training; the test set has the same columns and no rows."""
    return Dataset(train, jax.tree.map(lambda column: column[:0], train))


def load(name: str, **options: Any) -> Dataset:
    """The data set `name`, "digits" say, with the fields of its record as options.

    `ValueError` names what is allowed if the name, an option or its value is not.
    """
    if name not in Data.options:
        raise ValueError(f"data={name}: must be one of {', '.join(sorted(Data.options))}")
    kind = Data.options[name]
    allowed = [f.name for f in dataclasses.fields(kind)]
    for option in options:
        if option not in allowed:
            raise ValueError(f"{option}: no option of data={name}, whose options are {', '.join(allowed) or 'none'}")
    return kind(**options).load()


def draw_pair(points: Points, seed: int, first: int = -1, second: int = -1) -> Int64[np.ndarray, "2"]:
    """Indices (first, second) of two points of different classes; -1 leaves an index to the seed.

    A draw is uniform over the points that the other index, once known, allows. `ValueError` if an index is out of range, or the
    two share a class or an input, or all points share a class.
    """
    label = points.label
    for key, index in (("first", first), ("second", second)):
        if not -1 <= index < len(label):
            raise ValueError(f"{key}={index}: must be a point, 0 to {len(label) - 1}, or -1 to draw one")
    if len(np.unique(label)) < 2:
        raise ValueError("a pair needs points of two classes: all points given share one")
    random = np.random.default_rng(seed)
    if first < 0:
        first = int(random.choice(len(label) if second < 0 else np.flatnonzero(label != label[second])))
    if second < 0:
        second = int(random.choice(np.flatnonzero(label != label[first])))
    if label[first] == label[second]:
        raise ValueError(f"first={first}, second={second}: must differ in class, both are of class {label[first]}")
    if np.array_equal(points.x[first], points.x[second]):
        raise ValueError(f"first={first}, second={second}: must differ, both are the same input (|dx| = 0)")
    return np.array([first, second], np.int64)
