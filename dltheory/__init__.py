"""Theory of deep learning, made executable. Importing it enables 64-bit numbers; networks choose their own precision."""

import jax

__version__ = "0.1.0"

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_default_matmul_precision", "highest")
