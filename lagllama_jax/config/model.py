"""The configuration of a model."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from lagllama_jax.config.base import Config, Decay, Interval, Length, Positive, check

# fmt: off
LAGS: tuple[int, ...] = (
    0, 7, 8, 10, 11, 12, 13, 14, 19, 20, 21, 22, 23, 24, 26, 27, 28, 29, 30, 34, 35, 36, 46, 47, 48,
    50, 51, 52, 55, 57, 58, 59, 60, 61, 70, 71, 72, 83, 94, 95, 96, 102, 103, 104, 117, 118, 119,
    120, 121, 142, 143, 144, 154, 155, 156, 166, 167, 168, 177, 178, 179, 180, 181, 334, 335, 336,
    362, 363, 364, 502, 503, 504, 670, 671, 672, 718, 719, 720, 726, 727, 728, 1090, 1091, 1092,
)
"""The published 84 lags (0 is the value itself), fixed here: a checkpoint depends on them."""
# fmt: on

Head = Literal["student_t", "negative_binomial", "implicit_quantile"]
Scaling = Literal["robust", "mean", "std", "none"]
Rope = Literal["plain", "linear", "dynamic", "none"]
Size = Annotated[int, Interval(least=1, most=4096)]


@dataclass(frozen=True)
class ModelConfig(Config):
    """The architecture, which is saved with the weights. The defaults are the published model.

    Attributes:
      num_layers: Number of transformer blocks.
      num_heads: Number of attention heads.
      num_kv_heads: Number of key-value heads; each is shared by `num_heads / num_kv_heads` query
        heads (grouped-query attention). `None`, as published: one per head.
      head_dim: Width of one head. The width of the model is `num_heads * head_dim`.
      context_length: Number of past steps that the model is trained to attend to.
      attention_window: Number of steps that a token attends to in training, itself included; the
        default window of forecasts, too. `None`: the context length.
      max_context_length: Length from which `dynamic` RoPE scaling sets in.
      lags: Lags of a token, ascending; 0 is the value itself.
      head: Distribution head.
      scaling: How location and scale are computed from the past (`lagllama_jax.model.scalers`).
      safe_scaling: Replace a degenerate scale by a sound one. `False` is the reference, exactly.
      imputation: Value in place of a missing one: `zero` in raw units (the reference), or `loc`.
      time_features: Add six calendar features to every token.
      scale_features: `absolute` (the reference): `log1p|loc|` and `log scale`. `relative`: the one
        unit-free feature `arcsinh(loc / scale)`, with which forecasts do not depend on the unit.
        `none`: no feature, so that forecasts do not depend on the level either.
      observed_features: Add one flag per lag that says whether the value was observed.
      squash: `arcsinh` compresses the scaled lags before the first layer. `none`: as published.
      min_sigma: Smallest scale of the Student-t head, in scaled units.
      rope: Rotary position encoding. `linear` and `dynamic` stretch it by `rope_factor`.
      rope_factor: Stretch of the `linear` and `dynamic` encodings.
      dropout: Dropout rate on the outputs of attention and MLP, in training only.
    """

    num_layers: Annotated[int, Interval(least=1, most=1024)] = 8
    num_heads: Size = 9
    num_kv_heads: Size | None = None
    head_dim: Size = 16
    context_length: Length = 32
    attention_window: Length | None = None
    max_context_length: Length = 2048
    lags: tuple[Annotated[int, Interval(least=0, most=2**20)], ...] = LAGS
    head: Head = "student_t"
    scaling: Scaling = "robust"
    safe_scaling: bool = True
    imputation: Literal["zero", "loc"] = "zero"
    time_features: bool = True
    scale_features: Literal["absolute", "relative", "none"] = "absolute"
    observed_features: bool = False
    squash: Literal["none", "arcsinh"] = "none"
    min_sigma: Positive = 1.1920929e-07
    rope: Rope = "plain"
    rope_factor: Annotated[float, Interval(least=1)] = 1.0
    dropout: Decay = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check(self.head_dim % 2 == 0, f"head_dim={self.head_dim} must be even for RoPE.")
        check(
            self.num_heads % self.kv_heads == 0,
            f"num_heads={self.num_heads} must be a multiple of num_kv_heads={self.kv_heads}.",
        )
        ascending = all(a < b for a, b in zip(self.lags, self.lags[1:], strict=False))
        check(
            len(self.lags) > 0 and self.lags[0] == 0 and ascending,
            "lags must be ascending whole numbers that begin with 0.",
        )

    @property
    def kv_heads(self) -> int:
        """Number of key-value heads."""
        return self.num_heads if self.num_kv_heads is None else self.num_kv_heads

    @property
    def window(self) -> int:
        """Tokens that a token looks back over, itself included."""
        return self.context_length if self.attention_window is None else self.attention_window

    @property
    def width(self) -> int:
        """Model width D."""
        return self.num_heads * self.head_dim

    @property
    def mlp_width(self) -> int:
        """Hidden width of the SwiGLU block: two thirds of 4 D, rounded up to a multiple of 256."""
        return 256 * -(-int(2 * 4 * self.width / 3) // 256)

    @property
    def max_lag(self) -> int:
        """Largest lag M: points of history that precede the context."""
        return self.lags[-1]

    @property
    def past_length(self) -> int:
        """Points of the past that one window holds, M + C."""
        return self.max_lag + self.context_length

    @property
    def reads_raw_values(self) -> bool:
        """Whether the model needs raw values: its scale or distribution depends on the level."""
        return self.scaling in ("mean", "none") or self.head == "negative_binomial"

    @property
    def num_features(self) -> int:
        """Features F of one token."""
        lags = len(self.lags) * (2 if self.observed_features else 1)
        scale = {"absolute": 2, "relative": 1, "none": 0}[self.scale_features]
        return lags + scale + (6 if self.time_features else 0)

    @classmethod
    def released(cls) -> Self:
        """The published model (2,449,299 parameters), read with the safe scaler."""
        return cls()

    @classmethod
    def tiny(cls, **changes: Any) -> Self:
        """Two layers of two heads of eight: for tests and first steps."""
        return cls(**{"num_layers": 2, "num_heads": 2, "head_dim": 8, **changes})
