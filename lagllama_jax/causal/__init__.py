"""Questions of cause: what an intervention did, what if, and which columns foretell another."""

from lagllama_jax.causal.effect import Effect
from lagllama_jax.causal.granger import predictive_causes
from lagllama_jax.causal.impact import impact
from lagllama_jax.causal.what_if import Difference, what_if

__all__ = ["Difference", "Effect", "impact", "predictive_causes", "what_if"]
