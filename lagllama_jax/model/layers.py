"""The position-wise layers of a decoder block: linear layer, RMSNorm and SwiGLU."""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from lagllama_jax.config import ModelConfig
from lagllama_jax.typing import Array, Float

uniform_fan_in = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")
"""U(-1/sqrt(fan_in), 1/sqrt(fan_in)), the initialisation that the reference implementation uses."""


def product(
    x: Float[Array, "n I"], kernel: Float[Array, "I O"], dtype: DTypeLike
) -> Float[Array, "n O"]:
    """`x @ kernel`, computed in `dtype`.

    Weights in bfloat16 are multiplied by inputs that are rounded to bfloat16, with sums in `dtype`.
    """
    if kernel.dtype == jnp.bfloat16:
        return jax.lax.dot(x.astype(jnp.bfloat16), kernel, preferred_element_type=jnp.dtype(dtype))
    return x.astype(dtype) @ kernel.astype(dtype)


class Linear(nn.Module):
    """A linear layer: `x @ kernel (+ bias)` along the last axis.

    The leading axes are flattened, because a matrix product is faster on the CPU than a product
    of 3-D arrays.

    Attributes:
      features: Size of the last axis of the output.
      use_bias: Whether to add a bias.
      dtype: Data type of the computation.
      kernel_init: Initialiser of the kernel.
    """

    features: int
    use_bias: bool = False
    dtype: DTypeLike = jnp.float32
    kernel_init: nn.initializers.Initializer = uniform_fan_in

    @nn.compact
    def __call__(self, x: Float[Array, "*b I"]) -> Float[Array, "*b O"]:
        """Applies the layer to the last axis."""
        kernel = self.param("kernel", self.kernel_init, (x.shape[-1], self.features))
        y = product(x.reshape(-1, x.shape[-1]), kernel, self.dtype)
        if self.use_bias:
            bound = x.shape[-1] ** -0.5
            init = lambda key, shape: jax.random.uniform(key, shape, minval=-bound, maxval=bound)  # noqa: E731
            y = y + self.param("bias", init, (self.features,)).astype(self.dtype)
        return y.reshape(*x.shape[:-1], self.features)


FEW_ROWS = 128
"""Number of rows up to which `side_by_side` does not copy the weights."""


class Kernel(nn.Module):
    """The weights of a linear layer without a bias, for `side_by_side`.

    Attributes:
      features: Size of the last axis of the output.
    """

    features: int

    @nn.compact
    def __call__(self, inputs: int) -> Float[Array, "I O"]:
        """The weights, for an input whose last axis has this size."""
        kernel: Array = self.param("kernel", uniform_fan_in, (inputs, self.features))
        return kernel


def side_by_side(
    x: Float[Array, "*b I"], kernels: Sequence[Kernel], dtype: DTypeLike
) -> list[Float[Array, "*b O"]]:
    """The outputs of several linear layers with the same input, by one matrix product.

    One wide product takes half the time of two narrow ones on a CPU, unless there are few rows, as
    the weights are copied side by side.
    """
    rows, weights = x.reshape(-1, x.shape[-1]), [kernel(x.shape[-1]) for kernel in kernels]
    if isinstance(rows.shape[0], int) and rows.shape[0] <= FEW_ROWS:  # exports leave it open
        return [product(rows, one, dtype).reshape(*x.shape[:-1], -1) for one in weights]
    y = product(rows, jnp.concatenate(weights, axis=1), dtype)
    ends = np.cumsum([kernel.features for kernel in kernels])[:-1]
    return [part.reshape(*x.shape[:-1], -1) for part in jnp.split(y, ends, axis=1)]


class RMSNorm(nn.Module):
    """Root mean square normalisation: `scale * x / sqrt(mean(x^2) + 1e-5)` (arXiv 1910.07467).

    The mean is computed in float32.
    """

    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "*b D"]) -> Float[Array, "*b D"]:
        """Normalises the last axis."""
        scale = self.param("scale", nn.initializers.ones, (x.shape[-1],))
        x32 = x.astype(jnp.float32)
        inverse = jax.lax.rsqrt(jnp.mean(x32**2, axis=-1, keepdims=True) + 1e-5)
        return (scale * (x32 * inverse)).astype(self.dtype)


class SwiGLU(nn.Module):
    """A gated feed-forward layer: `down(silu(gate(x)) * up(x))`, without biases (arXiv 2002.05202).

    Attributes:
      config: The architecture.
      dtype: Data type of the computation.
    """

    config: ModelConfig
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "*b D"]) -> Float[Array, "*b D"]:
        """Applies the layer to each position independently."""
        kernels = [Kernel(self.config.mlp_width, name=name) for name in ("gate", "up")]
        gate, up = side_by_side(x, kernels, self.dtype)
        return Linear(self.config.width, dtype=self.dtype, name="down")(nn.silu(gate) * up)
