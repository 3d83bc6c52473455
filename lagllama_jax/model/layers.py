"""The position-wise layers of a block: linear map, RMSNorm and SwiGLU."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from lagllama_jax.config import ModelConfig
from lagllama_jax.typing import Array, Float

uniform_fan_in = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")
"""U(-1/sqrt(fan_in), 1/sqrt(fan_in)), the initialisation in force in the reference."""


class Linear(nn.Module):
    """`x @ kernel (+ bias)`, computed on a matrix: on the CPU that is faster than on 3-D arrays."""

    features: int
    use_bias: bool = False
    dtype: DTypeLike = jnp.float32
    kernel_init: nn.initializers.Initializer = uniform_fan_in

    @nn.compact
    def __call__(self, x: Float[Array, "*b I"]) -> Float[Array, "*b O"]:
        """Maps the last axis."""
        kernel = self.param("kernel", self.kernel_init, (x.shape[-1], self.features))
        y = x.reshape(-1, x.shape[-1]).astype(self.dtype) @ kernel.astype(self.dtype)
        if self.use_bias:
            bound = x.shape[-1] ** -0.5
            init = lambda key, shape: jax.random.uniform(key, shape, minval=-bound, maxval=bound)  # noqa: E731
            y = y + self.param("bias", init, (self.features,)).astype(self.dtype)
        return y.reshape(*x.shape[:-1], self.features)


class RMSNorm(nn.Module):
    """`scale * x / sqrt(mean(x^2) + 1e-5)`, statistics in float32 (arXiv 1910.07467)."""

    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "*b D"]) -> Float[Array, "*b D"]:
        """Normalises the last axis."""
        scale = self.param("scale", nn.initializers.ones, (x.shape[-1],))
        x32 = x.astype(jnp.float32)
        inverse = jax.lax.rsqrt(jnp.mean(x32**2, axis=-1, keepdims=True) + 1e-5)
        return (scale * (x32 * inverse)).astype(self.dtype)


class SwiGLU(nn.Module):
    """`down(silu(gate(x)) * up(x))` without biases (arXiv 2002.05202)."""

    config: ModelConfig
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "*b D"]) -> Float[Array, "*b D"]:
        """Maps every position by itself."""
        gate = Linear(self.config.mlp_width, dtype=self.dtype, name="gate")(x)
        up = Linear(self.config.mlp_width, dtype=self.dtype, name="up")(x)
        return Linear(self.config.width, dtype=self.dtype, name="down")(nn.silu(gate) * up)
