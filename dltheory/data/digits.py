"""1,797 real handwritten digits of 8 × 8 pixels in 17 grey levels, which scikit-learn carries inside its package.

Source: Alpaydin and Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository (1998), its test half.
"""

import numpy as np

from ..record import check, record
from .images import Images, split
from .points import Data, Dataset


@record
class Digits(Images, Data):
    """Handwritten digits of 64 pixels, always at hand."""

    def load(self) -> Dataset:
        """The images; `ValueError` if a field is outside its range."""
        from sklearn.datasets import load_digits

        check(self)
        pixels, label = map(np.asarray, load_digits(return_X_y=True))
        train, test = split(len(label), self.test)
        return self.assemble((pixels[train], label[train]), (pixels[test], label[test]), white=16)
