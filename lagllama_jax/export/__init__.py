"""Models as serialised programs that run with JAX alone."""

from lagllama_jax.export.program import export_model

__all__ = ["export_model"]
