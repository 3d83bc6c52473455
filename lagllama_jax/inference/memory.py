"""How much memory decoding takes, and how many series go into one call of the program."""

import os

import jax

from lagllama_jax.config import ForecastConfig, ModelConfig
from lagllama_jax.errors import ConfigError
from lagllama_jax.model.kv_cache import ring_slots

BATCH_BYTES = 2**30
"""Memory that the batch size is chosen for: enough to keep every device busy, and little enough
for any machine."""
FLOAT_BYTES = 4


def series_bytes(model: ModelConfig, config: ForecastConfig, capacity: int) -> int:
    """Bytes that one series takes while it is decoded, by estimate: what grows, generously.

    Args:
      model: the architecture, with the context and the window of the forecast.
      config: the number of samples.
      capacity: most steps that the buffers hold.
    """
    length, width, samples = model.context_length, model.width, config.num_samples
    cached = 2 * model.num_layers * model.kv_heads * model.head_dim
    rings = samples * ring_slots(model.window, capacity) * cached
    prefix = length * cached
    scores = 2 * model.num_heads * length**2
    activations = (length + samples) * (3 * model.mlp_width + 8 * width + 3 * model.num_features)
    paths = 4 * samples * capacity + 4 * (model.past_length + capacity)
    return FLOAT_BYTES * (rings + prefix + scores + activations + paths)


def device_memory(device: jax.Device) -> int:
    """Bytes that a device has; of a CPU, the machine's."""
    statistics = device.memory_stats() or {}
    if "bytes_limit" in statistics:
        return statistics["bytes_limit"]
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 2**63


def check_memory(
    model: ModelConfig, config: ForecastConfig, capacity: int, device: jax.Device
) -> int:
    """Bytes of one series.

    Raises:
      ConfigError: they are more than the device has.
    """
    needed = series_bytes(model, config, capacity)
    available = device_memory(device)
    if needed > available:
        raise ConfigError(
            f"One series needs about {needed / 2**30:.1f} GiB at context_length="
            f"{model.context_length}, attention_window={model.window}, num_samples="
            f"{config.num_samples} and {capacity} steps, but {device} has "
            f"{available / 2**30:.1f} GiB. Lower one of them."
        )
    return needed


def round_up(count: int) -> int:
    """The next of 1, 2, 3, 4, 6, 8, 12, 16, 20, 24, 28, 32, 40, ...: few sizes, few programs."""
    power = 1 << max(count - 1, 0).bit_length()
    step = max(power // (8 if count > 16 else 4), 1)
    return -(-count // step) * step


def batch_size(count: int, bytes_a_series: int, asked: int | None, devices: int) -> int:
    """Series in one call: `count` in equal parts that fit the memory, as one shape.

    Args:
      count: series in all.
      bytes_a_series: estimated memory.
      asked: the user's upper bound; `None`: by memory.
      devices: among which a batch is divided; the result is a multiple of them.
    """
    most = max(BATCH_BYTES // bytes_a_series, 1) if asked is None else -(-asked // devices)
    share = -(-count // devices)
    batches = -(-share // most)
    return devices * min(round_up(-(-share // batches)), most)
