"""Recipes by name."""

from lagllama_jax.config import DataConfig, ModelConfig, TrainConfig
from lagllama_jax.training.loop import LoopConfig
from lagllama_jax.training.pretrain import Recipe

PRESETS: dict[str, Recipe] = {
    # Specification, section 6: an epoch is 128 steps. Here 10 epochs lie between validations, so
    # that a patience of 5 is the published 50 epochs.
    "published": Recipe(loop=LoopConfig(dispatch=128, checkpoint_every=1280, patience=5)),
    # An hour on a laptop: a tenth of the weights, windows with many targets.
    "small": Recipe(
        ModelConfig(num_layers=4, num_heads=4, attention_window=48, squash="arcsinh"),
        DataConfig(future_length=16, min_past=64, mixture="root_timesteps", series_power=0.7),
        TrainConfig(
            steps=10_000,
            batch_size=64,
            learning_rate=1e-3,
            schedule="cosine",
            warmup_steps=200,
            weight_decay=0.01,
            clip_norm=1.0,
            ema_decay=0.999,
            max_scaled=1e4,
        ),
        LoopConfig(dispatch=10, checkpoint_every=500),
    ),
    # Seconds on a laptop: to see that everything runs.
    "tiny": Recipe(
        ModelConfig.tiny(attention_window=40),
        DataConfig(future_length=8, min_past=16),
        TrainConfig(steps=40, batch_size=16, learning_rate=1e-3, ema_decay=0.9, clip_norm=1.0),
        LoopConfig(dispatch=10, checkpoint_every=20, validation_windows=64),
    ),
}
