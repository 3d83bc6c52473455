"""`Projections`: the linear layers of an attention layer."""

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike

from lagllama_jax.config import ModelConfig
from lagllama_jax.model.layers import Kernel, Linear, side_by_side, uniform_fan_in
from lagllama_jax.typing import Array, Float


class Projections(nn.Module):
    """The linear layers of attention with several heads, without biases.

    Attributes:
      config: The architecture.
      dtype: Data type of the computation.
      output_init: Initialiser of the output layer.
    """

    config: ModelConfig
    dtype: DTypeLike = jnp.float32
    output_init: nn.initializers.Initializer = uniform_fan_in

    def setup(self) -> None:
        """Makes the layers."""
        config = self.config
        self.query = Kernel(config.width)
        self.key_value = Kernel(2 * config.kv_heads * config.head_dim)
        self.output = Linear(config.width, dtype=self.dtype, kernel_init=self.output_init)

    def project(
        self, x: Float[Array, "*b D"]
    ) -> tuple[Float[Array, "*b N H"], Float[Array, "*b K H"], Float[Array, "*b K H"]]:
        """The queries, keys and values of tokens."""
        config = self.config
        query, both = side_by_side(x, (self.query, self.key_value), self.dtype)
        query = query.reshape(*x.shape[:-1], config.num_heads, config.head_dim)
        both = both.reshape(*x.shape[:-1], 2, config.kv_heads, config.head_dim)
        return query, both[..., 0, :, :], both[..., 1, :, :]
