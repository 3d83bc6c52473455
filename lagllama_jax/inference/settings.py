"""Keeps the JAX settings of the caller from changing the numbers of the model."""

import contextlib
from collections.abc import Iterator

import jax


@contextlib.contextmanager
def own_settings() -> Iterator[None]:
    """Runs a block under JAX's default types, promotion, random numbers and transfers.

    The caller may have 64-bit types, strict promotion or a transfer guard. These are in force in
    other threads, and again after the block.
    """
    with (
        jax.enable_x64(False),
        jax.numpy_dtype_promotion("standard"),
        jax.numpy_rank_promotion("allow"),
        jax.default_prng_impl("threefry2x32"),
        jax.transfer_guard("allow"),
    ):
        yield
