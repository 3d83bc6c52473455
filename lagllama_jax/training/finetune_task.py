"""The parts of a fine-tuning: training windows, optimizer settings and validation windows."""

import functools
import math
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from lagllama_jax.config import (
    Count,
    DataConfig,
    FitConfig,
    LoopConfig,
    ModelConfig,
    TrainConfig,
    check,
    checked,
)
from lagllama_jax.corpus.resample import by_blocks, common_block
from lagllama_jax.corpus.store import Corpus
from lagllama_jax.errors import DataError
from lagllama_jax.inference.covariates.checks import check_covariates, report_network_use
from lagllama_jax.model.batch import Batch, rows_of
from lagllama_jax.model.scalers import fit_scale
from lagllama_jax.series.dataset import SeriesDataset
from lagllama_jax.training.guard import forecast_crps
from lagllama_jax.training.loop import Run
from lagllama_jax.training.metrics import Sink
from lagllama_jax.training.recipe import Recipe
from lagllama_jax.training.sharding import Rules, batch_sharding, make_mesh
from lagllama_jax.training.sources.corpus_arrays import corpus_arrays, host_arrays, keep_last
from lagllama_jax.training.sources.counts import check_counts
from lagllama_jax.training.sources.device import DeviceSource
from lagllama_jax.training.sources.groups import Sizes, batch_sizes, gather_groups, item_groups
from lagllama_jax.training.sources.windows import Draws, gather
from lagllama_jax.training.throughput import measured_peak, operations_per_token, tokens_per_step
from lagllama_jax.training.validation import Evaluate, make_evaluate, tail_draws
from lagllama_jax.training.watch import Watch
from lagllama_jax.typing import Float, Int, Parameters

LARGEST_DISPATCH = 10
MOST_WINDOWS = 1024
MOST_VARIATES = 16
"""Largest number of variates of an item that are trained on, and validated, together."""


@dataclass(frozen=True)
class FineTuning:
    """A fine-tuning that is ready to run.

    Attributes:
      recipe: Architecture, windows, optimizer and intervals. The architecture has the requested
        context length, and an attention window that covers the context and the forecast. One
        epoch is the interval between two validations.
      base: The architecture before the fine-tuning.
      corpus: The series to train on.
      lengths: Number of points of each series of `corpus` to train on.
      validation: The series to validate on, with their history.
      first: Index of the first held-back point of each series of `validation`.
    """

    recipe: Recipe
    base: ModelConfig
    corpus: Corpus
    lengths: Int[np.ndarray, "n"]
    validation: Corpus
    first: Int[np.ndarray, "v"]

    @property
    def sizes(self) -> Sizes:
        """The numbers of single windows and of groups in a batch, one of which is 0."""
        return batch_sizes(self.recipe.train.batch_size, self.recipe.data)

    @functools.cached_property
    def mesh(self) -> Mesh:
        """A mesh of as many devices as divide the batch size."""
        count = math.gcd(*self.sizes, jax.device_count())
        return make_mesh(devices=jax.devices()[:count])

    @property
    def validated(self) -> bool:
        """Whether any point is held back."""
        return bool((self.first < self.validation.lengths).any())

    def draws(self, model: ModelConfig) -> Draws:
        """The validation windows with the context of a model. Their targets do not depend on it.

        In groups, there is a window of the first target of each item.
        """
        corpus, first = self.validation, self.first
        if corpus.items is not None:
            first = np.where(corpus.items.leads, first, corpus.lengths)
        return tail_draws(corpus, first, model, self.recipe.data, MOST_WINDOWS)

    def windows(self, model: ModelConfig) -> Batch:
        """The validation windows with the context of a model, as a batch."""
        arrays, draws, data = host_arrays(self.validation), self.draws(model), self.recipe.data
        if self.validation.items is None:
            return gather(arrays, draws, model, data)
        return gather_groups(arrays, item_groups(draws, arrays, data.group_size), model, data)

    @functools.cached_property
    def unit(self) -> Float[np.ndarray, "w V"]:
        """Raw scale of each validation window, in which the losses of all models are expressed."""
        windows = self.windows(self.base)
        rows = rows_of(jax.tree.map(jnp.asarray, windows))
        scale = fit_scale(rows.values, rows.before_start, "robust", True)
        return np.asarray(scale.scale * rows.unit).reshape(windows.role.shape)

    def evaluate(self, model: ModelConfig) -> Evaluate:
        """A function that computes the validation loss of the parameters of an architecture."""
        train = self.recipe.train.replace(batch_size=sum(self.sizes))
        split = batch_sharding(self.mesh, Rules(), train.batch_size)
        place = lambda batch: jax.device_put(batch, split)  # noqa: E731
        return make_evaluate(self.windows(model), model, train, place, self.unit)

    def crps(self, model: ModelConfig, parameters: Parameters) -> Float[np.ndarray, "v P"]:
        """CRPS of forecasts of the validation windows, in units of the scale of each window."""
        future = self.recipe.data.future_length
        return forecast_crps(parameters, model, self.windows(model), future, self.unit)

    def run(self, parameters: Parameters, sink: Sink) -> Run:
        """The run of the training loop, which reports its metrics to `sink`."""
        recipe = self.recipe
        arrays = corpus_arrays(self.corpus, recipe.model, recipe.data, lengths=self.lengths)
        source = DeviceSource(arrays, self.corpus.dataset_names, recipe, self.mesh, Rules())
        tokens = tokens_per_step(recipe.model, recipe.data, recipe.train)
        peak = measured_peak(recipe.train.dtype) * self.mesh.size
        watch = Watch([sink], tokens, operations_per_token(parameters), peak)
        evaluate = self.evaluate(recipe.model) if self.validated else None
        return Run(recipe, source, watch, evaluate)


def packed(dataset: SeriesDataset, options: FitConfig, name: str = "series") -> Corpus:
    """The series of a user as a corpus, with their covariates if these are trained on.

    Raises:
      DataError: If a series or a covariate is invalid, or has another length. The message names it.
    """
    together = options.covariates == "network"
    if together:
        check_covariates(dataset, 0)
        report_network_use(dataset)
    return Corpus.pack(dataset, name, together=together)


def make_task(
    config: ModelConfig,
    corpus: Corpus,
    prediction_length: int,
    options: FitConfig,
    validation: Corpus | None,
) -> FineTuning:
    """Prepares a fine-tuning. The arguments are those of `lagllama_jax.training.finetune.fit`.

    Raises:
      DataError: If no series is long enough for validation, or a value is not a count although
        the model has a negative binomial head.
      ConfigError: If an option is invalid, or the model or the corpus cannot be trained with
        `options.covariates`.
    """
    given = [corpus] if validation is None else [corpus, validation]
    for one in given:
        _check_together(config, one, options)
    prediction_length = checked("prediction_length", prediction_length, Count)
    coarsen = options.coarsen if config.one_pass or options.coarsen != "auto" else 1
    size = common_block(given, prediction_length, coarsen)
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
    data = DataConfig(
        future_length=prediction_length,
        farthest=prediction_length,
        queries=min(prediction_length, DataConfig.queries),
        min_past=min(max(past, 1), context),
        augmentation=0.0,
        hinted=0.0,
        **_groups(corpus),
    )
    recipe = Recipe(model, data, _train_config(options, data), _loop_config(options))
    task = FineTuning(recipe, config, corpus, lengths, whole, first)
    check_counts(whole, model, data)
    if validation is not None and not task.validated:
        raise DataError(
            f"No validation series has the {2 * size} points that are needed: at least {size} to "
            f"forecast, after at least {size} of history. Give longer ones."
        )
    if options.validation > 0 and not task.validated:
        held, left = prediction_length * options.validation, prediction_length + 1
        raise DataError(
            f"No series has the {(held + left) * size} points that are needed: {held * size} at "
            f"its end validate, and a training window has at least {left * size}. Give longer "
            "series, validation data, or validation=0 to train without."
        )
    return task


def _training_part(
    corpus: Corpus, prediction_length: int, options: FitConfig, cut: bool
) -> tuple[Int[np.ndarray, "n"], Corpus]:
    """Number of training points of each series, and the corpus without the unused history."""
    tail = prediction_length * options.validation if cut else 0
    left = corpus.lengths - tail
    lengths = np.where(left >= prediction_length + 1, left, corpus.lengths)
    used = np.ceil(lengths * options.last_k_percentage / 100).astype(int)
    return used, keep_last(corpus, corpus.lengths - lengths + used)


def _check_together(config: ModelConfig, corpus: Corpus, options: FitConfig) -> None:
    """Checks that items can be trained as groups if this is asked for."""
    if options.covariates == "none":
        check(corpus.items is None, "Items with several variates need covariates='network'.")
        return
    check(
        config.variate_attention and config.one_pass,
        "covariates='network' trains attention across variates, in one pass, and these weights "
        "have not both (ModelConfig.variate_attention, ModelConfig.one_pass): use "
        "covariates='none', or other weights.",
    )
    check(
        corpus.items is not None and corpus.items.largest > 1,
        "covariates='network' needs items of several variates, and each of these has one: give "
        "covariates or several targets (from arrays or a table), or use covariates='none'.",
    )


def _groups(corpus: Corpus) -> dict[str, Any]:
    """The fields of `DataConfig` for groups."""
    if corpus.items is None:
        return {}
    return {"groups": 1.0, "group_size": min(corpus.items.largest, MOST_VARIATES)}


def _train_config(options: FitConfig, data: DataConfig) -> TrainConfig:
    return TrainConfig(
        steps=options.epochs * options.steps_per_epoch,
        batch_size=max(options.batch_size, data.group_size if data.groups else 1),
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
