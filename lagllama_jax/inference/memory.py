"""Estimates the memory that forecasts need, and chooses the batch size."""

import os

import jax

from lagllama_jax.config import ModelConfig
from lagllama_jax.errors import ConfigError
from lagllama_jax.model.kv_cache import ring_slots

BATCH_BYTES = 2**30
"""Memory per device in bytes for which the batch size is chosen. It keeps any device busy and fits
any machine."""
CACHE_BYTES = 40 * 2**20
"""Memory for which the batch size of one pass is chosen on a CPU, where intermediate results should
stay in the caches: twice as fast as `BATCH_BYTES` on 2 cores of an AMD EPYC."""
FLOAT_BYTES = 4
SMALL_BATCH = 4
"""Batch size of several, but not many series on a CPU. A series takes at most a tenth longer in it
than in larger batches."""
MANY = 64
"""Number of series from which batches are as large as the memory allows."""


def series_bytes(model: ModelConfig, num_samples: int, capacity: int) -> int:
    """A generous estimate of the memory in bytes that a forecast needs per series.

    Args:
      model: The architecture, with the context length and attention window of the forecast.
      num_samples: Number of sample paths. 0: the forecast is made in one pass.
      capacity: Largest number of steps that the buffers hold.
    """
    length, samples = model.context_length, num_samples
    cached = 2 * model.num_layers * model.kv_heads * model.head_dim
    rings = samples * ring_slots(model.window, capacity) * cached
    prefix = length * cached
    together = samples or capacity
    scores = 2 * model.num_heads * length * max(length, 0 if samples else capacity)
    each = 3 * model.mlp_width + 8 * model.width + 3 * model.num_features
    paths = 4 * samples * capacity + 4 * (model.past_length + capacity)
    return FLOAT_BYTES * (rings + prefix + scores + (length + together) * each + paths)


def group_bytes(model: ModelConfig, num_samples: int, capacity: int, group: tuple[int, int]) -> int:
    """A generous estimate of the memory in bytes that a forecast needs per group of variates.

    Args:
      model: As in `series_bytes`.
      num_samples: As in `series_bytes`.
      capacity: As in `series_bytes`.
      group: Number of variates whose paths are drawn, and of all variates.
    """
    drawn, size = group
    needed = drawn * series_bytes(model, num_samples, capacity)
    if size > drawn:
        needed += (size - drawn) * series_bytes(model, 0, capacity)
    if model.variate_attention and size > 1:
        together = max(model.context_length, num_samples or capacity)
        needed += 3 * FLOAT_BYTES * model.num_heads * together * size * size
    return needed


def device_memory(device: jax.Device) -> int:
    """Memory of a device in bytes. For a CPU, it is the memory of the machine."""
    statistics = device.memory_stats() or {}
    if "bytes_limit" in statistics:
        return statistics["bytes_limit"]
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 2**63


def check_memory(
    model: ModelConfig,
    num_samples: int,
    capacity: int,
    device: jax.Device,
    group: tuple[int, int] = (1, 1),
) -> int:
    """Returns `group_bytes`, after a check that the device has as much memory.

    Args:
      model: As in `series_bytes`.
      num_samples: As in `series_bytes`.
      capacity: As in `series_bytes`.
      device: The device.
      group: As in `group_bytes`.

    Raises:
      ConfigError: If one group needs more memory than the device has.
    """
    needed = group_bytes(model, num_samples, capacity, group)
    available = device_memory(device)
    if needed > available:
        drawn = f", num_samples={num_samples}" if num_samples else ""
        what, remedy = "One series", ""
        if group[1] > 1:
            what = f"One item of {group[1]} variates"
            remedy = ", or divide the targets or covariates of the items among several calls"
        raise ConfigError(
            f"{what} needs about {needed / 2**30:.1f} GiB at context_length="
            f"{model.context_length}, attention_window={model.window}{drawn} and a "
            f"prediction_length rounded up to {capacity}, but {device} has "
            f"{available / 2**30:.1f} GiB. Lower one of them{remedy}."
        )
    return needed


def round_up(count: int) -> int:
    """Rounds up to the next of 1, 2, 3, 4, 6, 8, 12, 16, 20, 24, 28, 32, 40, and so on.

    Few different batch sizes mean that few programs are compiled.
    """
    power = 1 << max(count - 1, 0).bit_length()
    step = max(power // (8 if count > 16 else 4), 1)
    return -(-count // step) * step


def batch_bytes(num_samples: int, device: jax.Device) -> int:
    """Memory per device in bytes for which the batch size is chosen.

    Args:
      num_samples: As in `series_bytes`.
      device: The device.
    """
    return CACHE_BYTES if num_samples == 0 and device.platform == "cpu" else BATCH_BYTES


def batch_size(
    count: int, bytes_a_series: int, asked: int | None, devices: int, target: int = BATCH_BYTES
) -> int:
    """Number of series per call of the program, so that all calls have one shape.

    Args:
      count: Total number of series.
      bytes_a_series: Estimated memory per series in bytes.
      asked: Upper bound that the user asks for. `None`: chosen for `target` bytes per device.
      devices: Number of devices that share a batch. The batch size is a multiple of it.
      target: Memory per device in bytes.
    """
    most = max(target // bytes_a_series, 1) if asked is None else -(-asked // devices)
    share = -(-count // devices)
    batches = -(-share // most)
    return devices * min(round_up(-(-share // batches)), most)


def small_batch_size(count: int, num_samples: int, most: int) -> int:
    """Number of series per call of the program on a CPU: 1, `SMALL_BATCH` or `most`.

    Each size has a program of its own, which takes seconds to compile, whereas a series takes
    milliseconds in one pass. The faster one of the two small sizes is chosen. A series alone takes
    1.2 times as long as in a small batch in one pass, 1.4 times with 25 paths, and 1.1 times with
    100 paths.

    Args:
      count: Total number of series.
      num_samples: As in `series_bytes`.
      most: The largest batch size.

    >>> [small_batch_size(count, 0, 12) for count in (2, 4, 5, 8, 63, 64)]
    [1, 4, 1, 4, 4, 12]
    """
    if count >= MANY:
        return most
    if min(count, most) < SMALL_BATCH:
        return 1
    alone = 1.2 if num_samples == 0 else 1 + 12 / num_samples
    return 1 if count * alone < -(-count // SMALL_BATCH) * SMALL_BATCH else SMALL_BATCH
