"""Cheap learning: what few neurons can do for the functions that physics and text are made of.

Sources: Lin, Tegmark & Rolnick, "Why does deep and cheap learning work so well?" (arXiv:1608.08225); Rolnick & Tegmark, "The power
of deeper networks for expressing natural functions" (arXiv:1705.05502); Lin & Tegmark, "Critical behavior in physics and
probabilistic formal languages" (arXiv:1606.06737).
"""

from .derivatives import derivatives
from .network import Network, affine, beside

__all__ = ["Network", "affine", "beside", "derivatives"]
