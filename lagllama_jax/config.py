"""Configurations: frozen dataclasses, validated when made, that travel as JSON."""

import dataclasses
import json
import numbers
from dataclasses import dataclass
from typing import Any, Literal, Self

from lagllama_jax.errors import ConfigError

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


def check(condition: bool, message: str) -> None:
    """Raises `ConfigError` with `message` unless `condition` holds."""
    if not condition:
        raise ConfigError(message)


def check_choice(name: str, value: Any, choices: tuple[Any, ...]) -> None:
    """Raises `ConfigError` unless `value` is one of `choices`."""
    check(value in choices, f"{name}={value!r} is not one of {', '.join(map(repr, choices))}.")


def check_positive(config: Any, *names: str) -> None:
    """Raises `ConfigError` unless each named field is a whole number of at least 1."""
    for name in names:
        check_whole(name, getattr(config, name))


def check_whole(name: str, value: Any) -> None:
    """Raises `ConfigError` unless `value` is a whole number of at least 1; names it by `name`."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    check(whole and value >= 1, f"{name}={value!r} must be a whole number of at least 1.")


class Serialisable:
    """JSON there and back for the dataclasses below; unknown and missing fields are errors."""

    def to_json(self) -> str:
        """The fields as indented JSON, ending in a newline."""
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"  # type: ignore[call-overload]

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Reads what `to_json` wrote.

        Raises:
          ConfigError: not JSON, a field that this class does not have, or one that is missing.
        """
        try:
            fields = json.loads(text)
        except json.JSONDecodeError as error:
            raise ConfigError(f"Not valid JSON: {error}.") from error
        check(isinstance(fields, dict), "Expected a JSON object with one entry a field.")
        known = {field.name for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
        unknown, missing = sorted(fields.keys() - known), sorted(known - fields.keys())
        check(not unknown, f"Unknown field(s) {', '.join(unknown)} for {cls.__name__}.")
        check(not missing, f"Missing field(s) {', '.join(missing)} for {cls.__name__}.")
        return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()})

    def replace(self, **changes: Any) -> Self:
        """A copy with some fields changed, validated anew."""
        return dataclasses.replace(self, **changes)  # type: ignore[type-var]


@dataclass(frozen=True)
class ModelConfig(Serialisable):
    """The architecture; travels with the weights. The defaults are the published model.

    Attributes:
      num_layers: transformer blocks.
      num_heads: attention heads.
      num_kv_heads: key-value heads, each shared by `num_heads / num_kv_heads` query heads
        (grouped-query attention). `None`, as published: one for every head.
      head_dim: width of one head; the model's width is `num_heads * head_dim`.
      context_length: tokens of the past that the model was trained to be given.
      attention_window: tokens, itself included, that a token looked back over in training;
        the forecaster's default window. `None`: `context_length`.
      max_context_length: length from which `dynamic` RoPE scaling sets in.
      lags: lags of a token, ascending; 0 is the value itself.
      head: distribution head.
      scaling: how loc and scale are taken from the past (`lagllama_jax.model.scalers`).
      safe_scaling: replace a degenerate scale by a sound one; `False` is the reference, exactly.
      imputation: what stands for a missing value: `zero` in raw units (the reference) or `loc`.
      time_features: six calendar features in every token.
      scale_features: `absolute` (the reference): `log1p|loc|` and `log scale`; `relative`: the
        one unit-free `arcsinh(loc / scale)`, with which a forecast does not depend on the unit;
        `none`: nothing, so that a forecast does not depend on the level either.
      observed_features: one flag a lag that tells whether the value was observed.
      squash: `arcsinh` compresses the scaled lags before the first layer; `none` as published.
      min_sigma: smallest scale of the Student-t head, in scaled units.
      rope: rotary position encoding; `linear` and `dynamic` stretch it by `rope_factor`.
      rope_factor: stretch of the `linear` and `dynamic` encodings.
      dropout: rate on the outputs of attention and MLP, in training only.
    """

    num_layers: int = 8
    num_heads: int = 9
    num_kv_heads: int | None = None
    head_dim: int = 16
    context_length: int = 32
    attention_window: int | None = None
    max_context_length: int = 2048
    lags: tuple[int, ...] = LAGS
    head: Head = "student_t"
    scaling: Scaling = "robust"
    safe_scaling: bool = True
    imputation: Literal["zero", "loc"] = "zero"
    time_features: bool = True
    scale_features: Literal["absolute", "relative", "none"] = "absolute"
    observed_features: bool = False
    squash: Literal["none", "arcsinh"] = "none"
    min_sigma: float = 1.1920929e-07
    rope: Rope = "plain"
    rope_factor: float = 1.0
    dropout: float = 0.0

    def __post_init__(self) -> None:
        check_positive(self, "num_layers", "num_heads", "head_dim", "context_length")
        check_positive(self, "max_context_length", "kv_heads", "window")
        check(self.head_dim % 2 == 0, f"head_dim={self.head_dim} must be even for RoPE.")
        check(
            self.num_heads % self.kv_heads == 0,
            f"num_heads={self.num_heads} must be a multiple of num_kv_heads={self.kv_heads}.",
        )
        check_choice("head", self.head, ("student_t", "negative_binomial", "implicit_quantile"))
        check_choice("scaling", self.scaling, ("robust", "mean", "std", "none"))
        check_choice("imputation", self.imputation, ("zero", "loc"))
        check_choice("scale_features", self.scale_features, ("absolute", "relative", "none"))
        check_choice("squash", self.squash, ("none", "arcsinh"))
        check_choice("rope", self.rope, ("plain", "linear", "dynamic", "none"))
        check(self.rope_factor >= 1, f"rope_factor={self.rope_factor} must be at least 1.")
        check(0 <= self.dropout < 1, f"dropout={self.dropout} must be in [0, 1).")
        check(self.min_sigma > 0, f"min_sigma={self.min_sigma} must be above 0.")
        ascending = all(a < b for a, b in zip(self.lags, self.lags[1:], strict=False))
        check(
            len(self.lags) > 0 and self.lags[0] == 0 and ascending,
            "lags must be ascending whole numbers, beginning with 0.",
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
        """Whether the model needs raw values: its scale or its distribution depends on the level."""
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


DEFAULT_LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


def check_levels(levels: Any) -> tuple[float, ...]:
    """Quantile levels as numbers.

    Raises:
      ConfigError: If there are none, or one is not between 0 and 1.
    """
    for level in levels:
        number = isinstance(level, numbers.Real) and not isinstance(level, bool)
        check(
            number and 0 < level < 1,
            f"Quantile level {level!r} must be between 0 and 1, such as 0.9.",
        )
    check(len(levels) > 0, "Quantile levels are empty: give at least one, such as 0.5.")
    return tuple(float(level) for level in levels)


@dataclass(frozen=True)
class ForecastConfig(Serialisable):
    """How a forecast is drawn.

    Attributes:
      num_samples: sample paths a series.
      context_length: tokens of the past that the model is shown; `None`: as in training. May be
        longer (the history before it, for the lags, is as long as ever).
      attention_window: tokens, itself included, that a token looks back over; `None`: as in
        training, or `context_length` where that was given and is longer.
      coarsen: points whose mean is one step of the model; the points within a step are then drawn
        from the series' own past. `auto`: dated series finer than an hour go by the hour, or by
        30, 15, 10 or 5 minutes where the horizon has fewer than 12 such steps or the past fewer
        than 64. 1: every point is a step.
      sampling: `random`: independent draws. `stratified`: the draws of one step cover the
        distribution evenly across the samples, which needs fewer samples for the same accuracy.
      nonnegative: clip every draw at 0 before it is fed back.
      seed: decides every draw, together with a series' identity.
      batch_size: series in one call of the compiled program; `None`: by memory.
      precision: of matrix products: `highest` is full float32 on every device, `default` leaves
        it to the backend.
      rope_factor: stretch of RoPE for contexts longer than in training; `None`: the model's own.
      quantile_levels: Quantiles that will be asked of the forecast.
    """

    num_samples: int = 100
    context_length: int | None = None
    attention_window: int | None = None
    coarsen: int | Literal["auto"] = "auto"
    sampling: Literal["random", "stratified"] = "stratified"
    nonnegative: bool = False
    seed: int = 0
    batch_size: int | None = None
    precision: Literal["default", "high", "highest"] = "highest"
    rope_factor: float | None = None
    quantile_levels: tuple[float, ...] = DEFAULT_LEVELS

    def __post_init__(self) -> None:
        check_levels(self.quantile_levels)
        check_positive(self, "num_samples")
        if self.coarsen != "auto":
            check_positive(self, "coarsen")
        for name in ("context_length", "attention_window", "batch_size"):
            if getattr(self, name) is not None:
                check_positive(self, name)
        check_choice("sampling", self.sampling, ("random", "stratified"))
        check_choice("precision", self.precision, ("default", "high", "highest"))
        check(
            self.rope_factor is None or self.rope_factor >= 1,
            f"rope_factor={self.rope_factor} must be at least 1.",
        )
        seeded = isinstance(self.seed, int) and 0 <= self.seed < 2**32
        check(seeded, f"seed={self.seed!r} must be a whole number from 0 to 2**32 - 1.")


@dataclass(frozen=True)
class DataConfig(Serialisable):
    """Which windows a model is trained on.

    Attributes:
      future_length: points of a window after its longest context.
      min_context: the context's length is drawn evenly between this and the model's
        `context_length`, the rest of the window being future; `None`: always the full context.
      min_past: points of a series that must precede the forecast's start; a history shorter than
        the model's is padded and masked. `None`: the full history is required, as published.
      mixture: weight of a dataset: `series` (its number of series, as published), `timesteps`,
        their inverses, `uniform`, or `root_timesteps` (square root of its points, at most 1.5
        million counted).
      series_power: within a dataset, a series is drawn in proportion to its length to this power;
        0, as published: evenly.
      short_history: share of windows whose history is hidden before a random point.
      drop_calendar: share of windows without calendar features.
      stretch: share of windows that are interpolated to a 2 to 6 times finer grid.
      noise: share of windows that autocorrelated noise is added to.
      mixup: share of windows mixed with others of the batch after standardisation.
      flip: share of windows turned upside down.
      synthetic: share of windows that are made up by `training/synthetic.py`.
      augmentation: share of batches that go through frequency masking and mixing.
    """

    future_length: int = 1
    min_context: int | None = None
    min_past: int | None = None
    mixture: Literal[
        "series", "series_inverse", "timesteps", "timesteps_inverse", "uniform", "root_timesteps"
    ] = "series"
    series_power: float = 0.0
    short_history: float = 0.0
    drop_calendar: float = 0.0
    stretch: float = 0.0
    noise: float = 0.0
    mixup: float = 0.0
    flip: float = 0.0
    synthetic: float = 0.0
    augmentation: float = 0.5

    def __post_init__(self) -> None:
        check_positive(self, "future_length")
        for name in ("min_context", "min_past"):
            if getattr(self, name) is not None:
                check_positive(self, name)
        for field in dataclasses.fields(self):
            if field.type is not float or field.name == "series_power":
                continue
            name, share = field.name, getattr(self, field.name)
            check(0 <= share <= 1, f"{name}={share} must be in [0, 1].")


@dataclass(frozen=True)
class TrainConfig(Serialisable):
    """How a model is trained. The defaults are the published pre-training.

    Attributes:
      steps: optimizer steps.
      batch_size: windows in one step.
      learning_rate: its peak.
      optimizer: `adam`, or `muon`: the blocks' matrices by orthogonalised momentum, the rest by
        Adam (https://kellerjordan.github.io/posts/muon), which reached a loss in fewer steps.
      schedule: `constant`; `cosine` down to a hundredth of the peak; or `trapezoid`, constant and
        then, over the last `decay_steps`, linearly to 0: a run that can be gone on with from
        before its decay.
      decay_steps: of the `trapezoid`.
      warmup_steps: linear warm-up.
      weight_decay: of AdamW, on matrices only; 0 is Adam.
      b2: decay of Adam's second moment.
      clip_norm: largest norm of a gradient; `None`: no clipping.
      accumulate: gradients of this many batches are averaged before an update.
      ema_decay: the weights' moving average, which is what is validated and saved; 0: none.
      max_scaled: targets beyond this many scales are left out of the loss.
      freeze: parts of the model that stay as they are, such as `embedding` or `block_0/mlp`.
      dtype: of the computation; parameters stay float32.
      remat: recompute activations in the backward pass.
      residual_gain: factor on fresh weights that write to the residual stream; 1 as published.
      seed: decides initialisation, windows and dropout.
    """

    steps: int = 128_000
    batch_size: int = 256
    learning_rate: float = 1e-4
    optimizer: Literal["adam", "muon"] = "adam"
    schedule: Literal["constant", "cosine", "trapezoid"] = "constant"
    decay_steps: int = 0
    warmup_steps: int = 0
    weight_decay: float = 0.0
    b2: float = 0.999
    clip_norm: float | None = None
    accumulate: int = 1
    ema_decay: float = 0.0
    max_scaled: float | None = None
    freeze: tuple[str, ...] = ()
    dtype: Literal["float32", "bfloat16"] = "float32"
    remat: bool = False
    residual_gain: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        check_positive(self, "steps", "batch_size", "accumulate")
        check(self.learning_rate > 0, f"learning_rate={self.learning_rate} must be above 0.")
        check(self.warmup_steps >= 0, f"warmup_steps={self.warmup_steps} must not be negative.")
        check_choice("optimizer", self.optimizer, ("adam", "muon"))
        check_choice("schedule", self.schedule, ("constant", "cosine", "trapezoid"))
        fits = self.warmup_steps + self.decay_steps <= self.steps
        check(
            self.schedule != "trapezoid" or (self.decay_steps > 0 and fits),
            f"decay_steps={self.decay_steps} must be above 0 and, with the warm-up, within steps.",
        )
        check(
            self.schedule != "cosine" or self.warmup_steps < self.steps,
            f"warmup_steps={self.warmup_steps} must be fewer than steps={self.steps}.",
        )
        check(self.residual_gain > 0, f"residual_gain={self.residual_gain} must be above 0.")
        check_choice("dtype", self.dtype, ("float32", "bfloat16"))
        check(0 <= self.ema_decay < 1, f"ema_decay={self.ema_decay} must be in [0, 1).")
        check(self.weight_decay >= 0, f"weight_decay={self.weight_decay} must not be negative.")
