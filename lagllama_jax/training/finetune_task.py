"""What a fine-tuning consists of: its windows, its optimizer, and what it is validated on."""

import dataclasses
import functools
import math
from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from lagllama_jax.config import DataConfig, ModelConfig, TrainConfig, check, check_positive
from lagllama_jax.corpus.resample import by_blocks, common_block
from lagllama_jax.corpus.store import Corpus
from lagllama_jax.errors import DataError
from lagllama_jax.model.scalers import fit_scale
from lagllama_jax.training.loop import LoopConfig, Run
from lagllama_jax.training.metrics import Sink
from lagllama_jax.training.sharding import Rules, batch_sharding, make_mesh
from lagllama_jax.training.sources.corpus_arrays import corpus_arrays, host_arrays, keep_last
from lagllama_jax.training.sources.device import DevicePath
from lagllama_jax.training.sources.windows import Windows, gather
from lagllama_jax.training.throughput import measured_peak, operations_per_token, tokens_per_step
from lagllama_jax.training.validation import Evaluate, make_evaluate, tail_draws
from lagllama_jax.training.watch import Watch
from lagllama_jax.typing import Float, Int, Parameters

LARGEST_DISPATCH = 10
MOST_WINDOWS = 1024


@dataclass(frozen=True)
class FitOptions:
    """How `fit` trains.

    Attributes:
      validation: how many forecasts' lengths at the end of each series are kept for validation.
        0: none, and then nothing guards against a result worse than the model it began with.
      learning_rate: of Adam, constant.
      context_length: steps of the past that attention sees; `None`: as the model had it.
      coarsen: points whose mean is one step of the model, as in `ForecastConfig`, so that the
        series are trained on as forecasts of them see them. `auto` takes 1 where that differs
        between the series; a number that is longer than a series is refused.
      freeze: parts that stay as they are, such as `embedding`, `block_0`, `head`.
      epochs: at most so many passes of `steps_per_epoch`, each followed by a validation.
      steps_per_epoch: optimizer steps of one.
      batch_size: windows in one step.
      patience: epochs without a new best after which training stops.
      last_k_percentage: share of each series' training part, from its end, that is used.
      clip_norm: largest norm of a gradient.
      dtype: of the computation.
      seed: decides the windows.
    """

    validation: int = 1
    learning_rate: float = 1e-4
    context_length: int | None = None
    coarsen: int | Literal["auto"] = "auto"
    freeze: tuple[str, ...] = ()
    epochs: int = 20
    steps_per_epoch: int = 50
    batch_size: int = 32
    patience: int = 3
    last_k_percentage: float = 100.0
    clip_norm: float | None = 1.0
    dtype: Literal["float32", "bfloat16"] = "float32"
    seed: int = 0

    @classmethod
    def of(cls, **options: Any) -> "FitOptions":
        """The options by name.

        Raises:
          ConfigError: a name that there is not, or a value that cannot be.
        """
        known = [field.name for field in dataclasses.fields(cls)]
        unknown = sorted(options.keys() - set(known))
        check(not unknown, f"Unknown option(s) {', '.join(unknown)}; known: {', '.join(known)}.")
        return cls(**options)

    def __post_init__(self) -> None:
        check_positive(self, "epochs", "steps_per_epoch", "batch_size", "patience")
        if self.coarsen != "auto":
            check_positive(self, "coarsen")
        check(self.validation >= 0, f"validation={self.validation} must not be negative.")
        share = self.last_k_percentage
        check(0 < share <= 100, f"last_k_percentage={share} must be above 0, at most 100.")


@dataclass(frozen=True)
class Task:
    """A fine-tuning, put together.

    Attributes:
      model: the architecture, with the wanted context, and an attention window that reaches over
        context and forecast, as it does in training.
      data: the windows.
      train: the optimizer.
      loop: an epoch is what lies between two validations.
      corpus: what is trained on.
      lengths: points of each series that are trained on.
      validation: whole series.
      first: first point of each of these that validates.
    """

    model: ModelConfig
    data: DataConfig
    train: TrainConfig
    loop: LoopConfig
    corpus: Corpus
    lengths: Int[np.ndarray, "n"]
    validation: Corpus
    first: Int[np.ndarray, "v"]

    @functools.cached_property
    def mesh(self) -> Mesh:
        """The first devices, as many as divide the batch."""
        count = math.gcd(self.train.batch_size, jax.device_count())
        return make_mesh(devices=jax.devices()[:count])

    @property
    def validated(self) -> bool:
        """Whether anything validates."""
        return bool((self.first < self.validation.lengths).any())

    def windows(self, model: ModelConfig) -> Windows:
        """The validation windows with a model's context; the same points for every model."""
        draws = tail_draws(self.validation, self.first, model, self.data, MOST_WINDOWS)
        return gather(host_arrays(self.validation), draws, model, self.data)

    @functools.cached_property
    def unit(self) -> Float[np.ndarray, "w 1"]:
        """The scale of each validation window, in which models of any scaler are compared."""
        windows = self.windows(self.model)
        past = np.arange(windows.values.shape[1])[None, :] < windows.past[:, None]
        values, observed = jnp.asarray(windows.values), jnp.asarray(windows.observed & past)
        scale = fit_scale(values, observed, "robust", True)
        return np.asarray(scale.scale)

    def evaluate(self, model: ModelConfig) -> Evaluate:
        """The validation loss of weights of an architecture."""
        split = batch_sharding(self.mesh, Rules(), self.train.batch_size)
        place = lambda batch: jax.device_put(batch, split)  # noqa: E731
        return make_evaluate(self.windows(model), model, self.train, place, self.unit)

    def run(self, parameters: Parameters, sink: Sink) -> Run:
        """The run of the training loop."""
        arrays = corpus_arrays(self.corpus, self.model, self.data, lengths=self.lengths)
        names = self.corpus.dataset_names
        path = DevicePath(arrays, names, self.model, self.data, self.train, self.mesh, Rules())
        tokens = tokens_per_step(self.model, self.data, self.train)
        peak = measured_peak(self.train.dtype) * self.mesh.size
        watch = Watch([sink], tokens, operations_per_token(parameters), peak)
        evaluate = self.evaluate(self.model) if self.validated else None
        key = jax.random.key(self.train.seed)
        return Run(key, path, self.train.steps, self.loop, watch, evaluate)


def make_task(
    config: ModelConfig,
    corpus: Corpus,
    prediction_length: int,
    options: FitOptions,
    validation: Corpus | None,
) -> Task:
    """Puts a fine-tuning together.

    Raises:
      DataError: no series is long enough to validate on.
      ConfigError: options that cannot be.
    """
    given = [corpus] if validation is None else [corpus, validation]
    size = common_block(given, prediction_length, options.coarsen)
    corpus, *rest = (by_blocks(one, np.full(len(one), size)) for one in given)
    validation = rest[0] if rest else None
    prediction_length = -(-prediction_length // size)
    context = options.context_length or config.context_length
    window = max(config.window, context + prediction_length - 1)
    model = config.replace(context_length=context, attention_window=window)
    lengths, corpus = _training_part(corpus, prediction_length, options, validation is None)
    whole = corpus if validation is None else validation
    first = lengths if validation is None else np.maximum(whole.lengths - prediction_length, 1)
    past = int(np.median(lengths)) - prediction_length
    task = Task(
        model,
        DataConfig(
            future_length=prediction_length, min_past=min(max(past, 1), context), augmentation=0.0
        ),
        _train_config(options),
        _loop_config(options),
        corpus,
        lengths,
        whole,
        first,
    )
    if (validation is not None or options.validation > 0) and not task.validated:
        taken = prediction_length * max(options.validation, 1)
        raise DataError(
            f"No series has more than the {taken} {'points' if size == 1 else 'steps'} that "
            "validation takes from its end. Give longer series, validation data, or "
            "validation=0 to train without."
        )
    return task


def _training_part(
    corpus: Corpus, prediction_length: int, options: FitOptions, cut: bool
) -> tuple[Int[np.ndarray, "n"], Corpus]:
    """Points of each series that are trained on, and the corpus with the history that is used."""
    tail = prediction_length * options.validation if cut else 0
    left = corpus.lengths - tail
    lengths = np.where(left >= prediction_length + 1, left, corpus.lengths)
    used = np.ceil(lengths * options.last_k_percentage / 100).astype(int)
    return used, keep_last(corpus, corpus.lengths - lengths + used)


def _train_config(options: FitOptions) -> TrainConfig:
    return TrainConfig(
        steps=options.epochs * options.steps_per_epoch,
        batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        clip_norm=options.clip_norm,
        freeze=options.freeze,
        dtype=options.dtype,
        seed=options.seed,
    )


def _loop_config(options: FitOptions) -> LoopConfig:
    epoch = options.steps_per_epoch
    dispatch = max(n for n in range(1, LARGEST_DISPATCH + 1) if epoch % n == 0)
    return LoopConfig(dispatch=dispatch, checkpoint_every=epoch, patience=options.patience)
