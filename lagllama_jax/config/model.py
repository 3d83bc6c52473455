"""The configuration of a model."""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Self

from lagllama_jax.config.base import Config, Decay, Interval, Length, Positive, check

# fmt: off
LAGS: tuple[int, ...] = (
    0, 7, 8, 10, 11, 12, 13, 14, 19, 20, 21, 22, 23, 24, 26, 27, 28, 29, 30, 34, 35, 36, 46, 47, 48,
    50, 51, 52, 55, 57, 58, 59, 60, 61, 70, 71, 72, 83, 94, 95, 96, 102, 103, 104, 117, 118, 119,
    120, 121, 142, 143, 144, 154, 155, 156, 166, 167, 168, 177, 178, 179, 180, 181, 334, 335, 336,
    362, 363, 364, 502, 503, 504, 670, 671, 672, 718, 719, 720, 726, 727, 728, 1090, 1091, 1092,
)
"""The published 84 lags in time steps, where 0 is the value itself. Checkpoints depend on them."""
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
      attention_window: Number of steps that a token attends to, itself included. It is used in
        training, and by default in forecasts. `None`: the context length.
      max_context_length: Context length above which `dynamic` RoPE scaling is applied.
      lags: Ascending lags of a token in time steps; 0 is the value itself.
      head: Distribution head.
      scaling: How location and scale are computed from the past (`lagllama_jax.model.scalers`).
      safe_scaling: Whether to replace a degenerate scale, such as that of a constant series.
        `False`: exactly as in the reference implementation.
      imputation: Value in place of a missing one: `zero` in raw units (the reference), or `loc`.
      time_features: Whether to add six calendar features to every token.
      scale_features: `absolute` (the reference): `log1p|loc|` and `log scale`. `relative`: the one
        unit-free feature `arcsinh(loc / scale)`, with which forecasts do not depend on the unit.
        `none`: no feature, so that forecasts do not depend on the level either.
      observed_features: Whether to add one flag per lag, which is 1 if its value was observed.
      squash: `arcsinh` compresses the scaled lags before the first layer. `none`: as published.
      one_pass: Whether the weights can forecast a whole horizon in one pass: future tokens, whose
        values are hidden, look at the context. It needs `observed_features` and the Student-t head.
      variate_attention: Whether every block has attention across the variates of a group, so that
        targets can use covariates and one another.
      min_sigma: Smallest scale of the Student-t head, in scaled units.
      rope: Rotary position encoding. `linear` and `dynamic` stretch it by `rope_factor`.
      rope_factor: Stretch of the `linear` and `dynamic` encodings.
      dropout: Dropout rate on the outputs of attention and MLP, in training only.
    """

    ADDED: ClassVar[frozenset[str]] = frozenset({"one_pass", "variate_attention"})

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
    one_pass: bool = False
    variate_attention: bool = False
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
        check(
            not self.one_pass or (self.observed_features and self.head == "student_t"),
            "one_pass=True needs observed_features=True and head='student_t'.",
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
        """Number of tokens that a token attends to, itself included."""
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
        """Largest lag M in time steps: the number of points that precede the context."""
        return self.lags[-1]

    @property
    def past_length(self) -> int:
        """Number of past points of a window, M + C."""
        return self.max_lag + self.context_length

    @property
    def reads_raw_values(self) -> bool:
        """Whether the model needs raw values, as its scale or distribution depends on the level."""
        return self.scaling in ("mean", "none") or self.head == "negative_binomial"

    @property
    def num_features(self) -> int:
        """Number of features F of a token."""
        lags = len(self.lags) * (2 if self.observed_features else 1)
        scale = {"absolute": 2, "relative": 1, "none": 0}[self.scale_features]
        return lags + scale + (6 if self.time_features else 0)

    @classmethod
    def released(cls) -> Self:
        """The published model (2,449,299 parameters), with `safe_scaling`."""
        return cls()

    @classmethod
    def tiny(cls, **changes: Any) -> Self:
        """A model with two layers of two heads of width 8, for tests and examples."""
        return cls(**{"num_layers": 2, "num_heads": 2, "head_dim": 8, **changes})
