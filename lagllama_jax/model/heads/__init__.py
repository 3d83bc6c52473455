"""Distribution heads, one file per family, with a common interface.

Each head is a Flax module with the methods `loss(hidden, target, loc, scale, key)`,
`sample(hidden, loc, scale, key, stratified, part)` and `rescale_loss(losses, factor)`. These
arguments have the same meaning in all heads:

* `hidden` are the hidden states, one per target or draw.
* `target` are the true values, in the units of the series.
* `loc` and `scale` are the location and scale of the series, and broadcast against the targets.
* `key` is the random key. Only the implicit quantile head uses it in `loss`.
* `stratified` says whether the draws cover the distribution evenly across samples.
* `part` says which samples of a row are drawn (not in the negative binomial head, whose draws
  cannot be divided).

Losses and draws are in the units of the series.
"""

from typing import TypeAlias

from lagllama_jax.config import ModelConfig
from lagllama_jax.model.heads.implicit_quantile import ImplicitQuantileHead
from lagllama_jax.model.heads.negative_binomial import NegativeBinomial, NegativeBinomialHead
from lagllama_jax.model.heads.student_t import StudentT, StudentTHead

Head: TypeAlias = StudentTHead | NegativeBinomialHead | ImplicitQuantileHead

HEADS: dict[str, type[Head]] = {
    "student_t": StudentTHead,
    "negative_binomial": NegativeBinomialHead,
    "implicit_quantile": ImplicitQuantileHead,
}


def make_head(config: ModelConfig) -> Head:
    """The distribution head of a configuration, not bound to weights."""
    return HEADS[config.head](config)


__all__ = ["HEADS", "Head", "NegativeBinomial", "StudentT", "make_head"]
