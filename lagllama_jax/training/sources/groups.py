"""Groups of real series: draws the relatives of a target and their roles, and gathers the windows.

The variates of a user's item keep their roles.

The variates of a group have the same window of one time grid, with the same stretch and history.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lagllama_jax.config import DataConfig, ModelConfig, check
from lagllama_jax.model.batch import KNOWN_COVARIATE, PADDING, PAST_COVARIATE, TARGET, Batch
from lagllama_jax.training.sources.relatives import Relatives
from lagllama_jax.training.sources.windows import (
    Chances,
    CorpusArrays,
    Draws,
    between,
    decide,
    draw_chances,
    draw_chances_on_host,
    gather,
)
from lagllama_jax.typing import Array, Float, Int, Key

NEAR = 0.7
"""Share of relatives whose distance in the corpus is log-uniform. The others are drawn evenly."""
DROPPED = 0.1
"""Share of relatives that are left out."""
ALL_KNOWN, ALL_TARGETS = 0.5, 0.7
"""Half of the groups have known covariates only, a fifth have targets only, the others all roles.
"""
ROLES = np.array([KNOWN_COVARIATE, PAST_COVARIATE, TARGET], np.int32)


class Members(NamedTuple):
    """The variates of a batch of groups.

    Attributes:
      series: Number of the series of each variate.
      role: Role of each variate. The first one is a target.
    """

    series: Int[Array, "G V"]
    role: Int[Array, "G V"]


class GroupDraws(NamedTuple):
    """The random choices of a batch of groups.

    Attributes:
      window: The window of the first target of each group, which all its variates share.
      members: The variates.
    """

    window: Draws
    members: Members


class MemberChances(NamedTuple):
    """The random numbers, uniform in [0, 1), from which `Members` are computed.

    Attributes:
      kind: Decides which roles a group has, or which variates of a large item.
      near: Decides whether the distance of a relative is log-uniform.
      distance: Decides the distance.
      side: Decides whether the relative comes before or after the target.
      role: Decides the role of a relative.
    """

    kind: Float[Array, "G"]
    near: Float[Array, "G W"]
    distance: Float[Array, "G W"]
    side: Float[Array, "G W"]
    role: Float[Array, "G W"]


class Sizes(NamedTuple):
    """Numbers of what a batch has.

    Attributes:
      windows: Windows of single series.
      groups: Groups of `group_size` variates.
    """

    windows: int
    groups: int


def batch_sizes(batch: int, data: DataConfig) -> Sizes:
    """The numbers of single windows and of groups in a batch of `batch` windows.

    Raises:
      ConfigError: If the share of groups is above 0 and too small for one group.
    """
    most = batch // data.group_size
    groups = min(round(batch * data.groups / data.group_size), most)
    check(
        data.groups == 0 or groups > 0,
        f"groups={data.groups:g} of {batch} windows make no group of {data.group_size}: set "
        "groups=0, or a larger batch_size, or a smaller group_size.",
    )
    windows = batch - groups * data.group_size
    return Sizes(windows if data.groups < 1 else 0, groups)


def draw_groups(
    key: Key, corpus: CorpusArrays, count: int, model: ModelConfig, data: DataConfig
) -> GroupDraws:
    """Draws groups with `jax.random`."""
    item_key, uniform_key, member_key, kind_key = jax.random.split(key, 4)
    windows = draw_chances(item_key, uniform_key, corpus, count)
    shape = len(MemberChances._fields) - 1, count, data.group_size - 1
    members = MemberChances(
        jax.random.uniform(kind_key, (count,)), *jax.random.uniform(member_key, shape)
    )
    return decide_groups(windows, members, corpus, model, data)


def draw_groups_on_host(
    generator: np.random.Generator,
    corpus: CorpusArrays,
    count: int,
    model: ModelConfig,
    data: DataConfig,
) -> GroupDraws:
    """Draws groups with NumPy. The distribution is that of `draw_groups`."""
    windows = draw_chances_on_host(generator, corpus, count)
    shape = len(MemberChances._fields) - 1, count, data.group_size - 1
    kind: Any = generator.random(count, np.float32)
    members = MemberChances(kind, *generator.random(shape, np.float32))
    return decide_groups(windows, members, corpus, model, data)


def decide_groups(
    chances: Chances,
    members: MemberChances,
    corpus: CorpusArrays,
    model: ModelConfig,
    data: DataConfig,
) -> GroupDraws:
    """Computes groups from random numbers. Arrays of NumPy and of JAX both stay what they are."""
    relatives = corpus.relatives
    table = corpus.table if relatives is None else relatives.table
    window = decide(chances, corpus._replace(table=table), model, data)
    return GroupDraws(window, decide_members(members, corpus, window.series))


def decide_members(
    chances: MemberChances, corpus: CorpusArrays, target: Int[Array, "G"]
) -> Members:
    """Computes the variates of groups from random numbers and the first target of each group.

    A relative that is drawn twice, or a series that has no relatives, leaves `PADDING`. Relatives
    with roles are all variates, or as many of them as a group has, in turn from a random one.
    """
    xp = jnp if isinstance(corpus.lengths, jax.Array) else np
    own = target[:, None]
    if corpus.relatives is not None and corpus.relatives.role is not None:
        return _variates_of_item(chances, corpus.relatives, own)
    if corpus.relatives is None:
        first, size = own, xp.ones_like(own)
    else:
        first, size = corpus.relatives.first[own], corpus.relatives.size[own]
    farthest = xp.maximum(size // 2, 1)
    near = xp.exp(chances.distance * xp.log(farthest + 1.0)).astype("int32")
    even = between(chances.distance, 1, farthest)
    distance = xp.where(chances.near < NEAR, xp.clip(near, 1, farthest), even)
    step = xp.where(chances.side < 0.5, -distance, distance)
    series = xp.concatenate([own, first + (own - first + step) % size], axis=1)
    role = xp.concatenate([xp.full(own.shape, TARGET, xp.int32), _roles(xp, chances)], axis=1)
    same = series[:, :, None] == series[:, None, :]
    repeated = (same & np.tri(series.shape[1], k=-1, dtype=bool)).any(axis=2)
    role = xp.where(repeated, PADDING, role)
    return Members(series.astype(xp.int32), role.astype(xp.int32))


def _variates_of_item(
    chances: MemberChances, relatives: Relatives, own: Int[Array, "G 1"]
) -> Members:
    xp = jnp if isinstance(relatives.first, jax.Array) else np
    first, size, turn = relatives.first[own], relatives.size[own], xp.arange(chances.role.shape[1])
    others = xp.maximum(size - 1, 1)
    step = 1 + (between(chances.kind[:, None], 0, others - 1) + turn) % others
    series = xp.concatenate([own, first + (own - first + step) % size], axis=1).astype(xp.int32)
    there = xp.concatenate([own == own, turn < size - 1], axis=1)
    assert relatives.role is not None
    return Members(series, xp.where(there, relatives.role[series], PADDING).astype(xp.int32))


def _roles(xp: Any, chances: MemberChances) -> Int[Array, "G W"]:
    kind = chances.kind[:, None]
    level = (chances.role - DROPPED) / (1 - DROPPED)
    mixed = xp.asarray(ROLES)[between(xp.clip(level, 0, 0.999), 0, len(ROLES) - 1)]
    role = xp.where(kind < ALL_TARGETS, TARGET, mixed)
    role = xp.where(kind < ALL_KNOWN, KNOWN_COVARIATE, role)
    return xp.where(level < 0, PADDING, role)


def item_groups(windows: Draws, corpus: CorpusArrays, size: int) -> GroupDraws:
    """The groups of `size` variates of the items of some windows of NumPy arrays, not at random."""
    others: Any = np.zeros((len(windows.series), size - 1), np.float32)
    chances = MemberChances(others[:, 0], *[others] * (len(MemberChances._fields) - 1))
    return GroupDraws(windows, decide_members(chances, corpus, windows.series))


def gather_groups(
    corpus: CorpusArrays, draws: GroupDraws, model: ModelConfig, data: DataConfig
) -> Batch:
    """Gathers the windows of groups. Arrays of NumPy and of JAX both stay what they are."""
    xp = jnp if isinstance(corpus.values, jax.Array) else np
    series, role = draws.members
    variates = series.shape[1]
    repeated = Draws(*(xp.repeat(field, variates) for field in draws.window))
    rows = gather(corpus, repeated._replace(series=series.reshape(-1)), model, data)
    windows = rows.values.reshape(*series.shape, -1)
    observed = rows.observed.reshape(windows.shape) & (role != PADDING)[..., None]
    level, unit, seed = (part.reshape(series.shape) for part in (rows.level, rows.unit, rows.seed))
    clock, start = rows.time_features[::variates], rows.start[::variates]
    values = xp.where(observed, windows, xp.float32(0))
    return Batch(values, observed, clock, role, start, level, unit, seed)
