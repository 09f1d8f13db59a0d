"""Labelled images of the ten digits: how they are split, normalised and turned into targets.

A split is one fixed shuffle, `numpy.random.default_rng(0).permutation`: its tail is held out, its head is for training.
`points` keeps the front of the head, so smaller training sets are nested in larger ones and the test set stays the same.
With pixels p in [0, 1],

    standard   x = (p - m) / s           m, s: mean and standard deviation of all pixels of the training images kept
    unit       x = p
    sphere     x ∝ p - mean(p)           image by image, with |x|² = inputs

and with e_c the unit vector of class c,

    one_hot    y* = e_c                  |dy*|² = 2 between two classes
    centred    y* = e_c - 1/10           the outputs of an image sum to 0
    index      y* = c                    one output
"""

import numpy as np
from jaxtyping import Float64, Int64, Real

from ..record import record, static
from .points import Dataset, Points

CLASSES = 10
NORMALISATIONS = ("standard", "unit", "sphere")
TARGETS = ("one_hot", "centred", "index")


@record
class Images:
    """The choices that all sets of images share."""

    normalise: str = static("standard", "how pixels become inputs", choices=NORMALISATIONS)
    targets: str = static("one_hot", "how classes become targets", choices=TARGETS)
    test: float = static(0.2, "fraction of the images held out", low=0.0, high=0.9)
    points: int = static(0, "training images kept, 0: all", low=0.0)
    batch: int = static(64, "images per training step, 0: all", low=0.0)

    def assemble(
        self,
        train: tuple[Real[np.ndarray, "train pixels"], Int64[np.ndarray, "train"]],
        test: tuple[Real[np.ndarray, "test pixels"], Int64[np.ndarray, "test"]],
        white: int,
    ) -> Dataset:
        """The data set of two (pixels, classes), pixels in [0, white]; `ValueError` if there are fewer than `points`."""
        pixels, label = train
        if self.points > len(label):
            raise ValueError(f"points={self.points}: must be ≤ {len(label)}, the training images there are, or 0 for all")
        kept = slice(self.points or None)
        images, held_out = pixels[kept] / white, test[0] / white
        return Dataset(
            Points(normalise(self.normalise, images, images), encode(self.targets, label[kept]), label[kept]),
            Points(normalise(self.normalise, held_out, images), encode(self.targets, test[1]), test[1]),
        )


def split(count: int, fraction: float) -> tuple[Int64[np.ndarray, "train"], Int64[np.ndarray, "test"]]:
    """Indices of the images for training and of the round(fraction · count) held out."""
    shuffled = np.random.default_rng(0).permutation(count)
    train = count - round(fraction * count)
    return shuffled[:train], shuffled[train:]


def normalise(
    how: str, images: Float64[np.ndarray, "images pixels"], training: Float64[np.ndarray, "training pixels"]
) -> Float64[np.ndarray, "images pixels"]:
    """Inputs x of images p in [0, 1], given the training images; `ValueError` if all pixels are equal and s = 0."""
    if how == "unit":
        return images
    if how == "standard":
        mean, deviation = training.mean(), training.std()
    else:
        mean, deviation = images.mean(axis=1, keepdims=True), images.std(axis=1, keepdims=True)
    if not np.all(deviation):
        raise ValueError(f"normalise={how}: an image, or the whole training set, has only equal pixels; use normalise=unit")
    return (images - mean) / deviation


def encode(how: str, label: Int64[np.ndarray, "images"]) -> Float64[np.ndarray, "images outputs"]:
    """Targets of classes."""
    if how == "index":
        return label[:, None].astype(float)
    one_hot = np.eye(CLASSES)[label]
    return one_hot - 1 / CLASSES if how == "centred" else one_hot
