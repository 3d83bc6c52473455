"""The speed of a run: tokens per second, and the share of the speed of a matrix product."""

import time

import jax
import jax.numpy as jnp

from lagllama_jax.config import DataConfig, ModelConfig, TrainConfig
from lagllama_jax.typing import Parameters

PRODUCTS = {"cpu": (4096, 144, 1024)}
ACCELERATOR_PRODUCT = (8192, 8192, 8192)


def tokens_per_step(model: ModelConfig, data: DataConfig, train: TrainConfig) -> int:
    """Number of tokens per step. Each window has C + P - 1 tokens."""
    windows = train.batch_size * train.accumulate
    return windows * (model.context_length + data.future_length - 1)


def operations_per_token(parameters: Parameters) -> int:
    """Operations per token in training: 6 per parameter (arXiv 2001.08361)."""
    return 6 * sum(leaf.size for leaf in jax.tree.leaves(parameters))


def measured_peak(dtype: str, seconds: float = 0.2) -> float:
    """Operations per second of a large matrix product on one device.

    A multiplication and an addition count as two operations. The product is
    `[4096, 144] x [144, 1024]` on the CPU and `[8192, 8192] x [8192, 8192]` elsewhere.

    Args:
      dtype: Data type of the matrices.
      seconds: Time to spend; the fastest product counts.
    """
    rows, inner, columns = PRODUCTS.get(jax.default_backend(), ACCELERATOR_PRODUCT)
    left = jnp.ones((rows, inner), dtype)
    right = jnp.ones((inner, columns), dtype)
    product = jax.jit(jnp.matmul)
    product(left, right).block_until_ready()
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        product(left, right).block_until_ready()
        best = min(best, time.perf_counter() - start)
    return 2 * rows * inner * columns / best
