"""Kernels and predictions of neural-tangents, for `test_standard_library.py`; run by the python of an old environment.

    python neural_tangents_kernels.py given.npz found.npz

given: x, y of the first inputs, c_b, c_w, depths, time. found: nngp and ntk of all x by activation and depth; at the second depth
mean and covariance of what is learnt from y about the other inputs by `time` and in the end, with the loss ½ mean over inputs.
"""

import sys
import types


def main(given, found):
    sys.modules["neural_tangents.experimental"] = types.ModuleType("experimental")  # the one part that imports TensorFlow
    import jax
    import numpy as np

    jax.config.update("jax_enable_x64", True)
    from neural_tangents import predict, stax

    layers = {
        "relu": stax.Relu(),
        "leaky_relu": stax.LeakyRelu(0.1),
        "abs": stax.Abs(),
        "erf": stax.Erf(),
        "gelu": stax.Gelu(),
        "sin": stax.Sin(),
        "cos": stax.Cos(),
        "exp": stax.Exp(),
        "gaussian": stax.Gaussian(),
        "gabor": stax.Gabor(),
        "rbf": stax.Rbf(),
    }
    given = np.load(given)
    x, y, shallow, middle = given["x"], given["y"], *given["depths"][:2]
    dense = stax.Dense(1, W_std=float(given["c_w"]) ** 0.5, b_std=float(given["c_b"]) ** 0.5)
    out = {}
    for name, layer in layers.items():
        for depth in given["depths"]:
            if depth > shallow and name == "exp":  # deep networks overflow
                continue
            kernels = stax.serial(*[dense, layer] * (depth - 1), dense)[2]
            out[f"{name} {depth} nngp"], out[f"{name} {depth} ntk"] = kernels(x, None, ("nngp", "ntk"))
            if depth == middle:
                ensemble = predict.gradient_descent_mse_ensemble(kernels, x[: len(y)], y)
                # its loss is a mean over outputs as well
                for when, time in {"time": given["time"] * y.shape[1], "end": None}.items():
                    mean, covariance = ensemble(time, x[len(y) :], "ntk", compute_cov=True)
                    out[f"{name} {when} mean"], out[f"{name} {when} covariance"] = mean, covariance
    np.savez(found, **out)


if __name__ == "__main__":
    main(*sys.argv[1:])
