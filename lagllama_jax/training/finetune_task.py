"""What a fine-tuning consists of: its windows, its optimizer, and what it is validated on."""

import functools
import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from lagllama_jax.config import DataConfig, FitConfig, LoopConfig, ModelConfig, TrainConfig
from lagllama_jax.corpus.resample import by_blocks, common_block
from lagllama_jax.corpus.store import Corpus
from lagllama_jax.errors import DataError
from lagllama_jax.model.scalers import fit_scale
from lagllama_jax.training.loop import Run
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
    options: FitConfig,
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
    corpus: Corpus, prediction_length: int, options: FitConfig, cut: bool
) -> tuple[Int[np.ndarray, "n"], Corpus]:
    """Points of each series that are trained on, and the corpus with the history that is used."""
    tail = prediction_length * options.validation if cut else 0
    left = corpus.lengths - tail
    lengths = np.where(left >= prediction_length + 1, left, corpus.lengths)
    used = np.ceil(lengths * options.last_k_percentage / 100).astype(int)
    return used, keep_last(corpus, corpus.lengths - lengths + used)


def _train_config(options: FitConfig) -> TrainConfig:
    return TrainConfig(
        steps=options.epochs * options.steps_per_epoch,
        batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        clip_norm=options.clip_norm,
        freeze=options.freeze,
        dtype=options.dtype,
        seed=options.seed,
    )


def _loop_config(options: FitConfig) -> LoopConfig:
    epoch = options.steps_per_epoch
    dispatch = max(n for n in range(1, LARGEST_DISPATCH + 1) if epoch % n == 0)
    return LoopConfig(dispatch=dispatch, checkpoint_every=epoch, patience=options.patience)
