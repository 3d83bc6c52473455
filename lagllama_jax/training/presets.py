"""The recipes that `lagllama pretrain --preset` offers."""

from lagllama_jax.config import LAGS, DataConfig, LoopConfig, ModelConfig, TrainConfig
from lagllama_jax.training.recipe import Recipe

DAYS = (191, 239, 288, 383, 479, 576, 767, 864, 1007)
# The published lags, all short lags, and the missing lags of days and weeks of 5 to 30 minutes.
BOX_LAGS = tuple(
    sorted(
        {*LAGS, *range(1, 7), 9, *range(15, 19)}
        | {day + near for day in DAYS for near in (-1, 0, 1)}
    )
)

PRESETS: dict[str, Recipe] = {
    # The recipe of the paper and the authors' code. There, an epoch has 128 steps, and training
    # stops 50 epochs after the best one. Here, there is one validation per 10 epochs, so a patience
    # of 5 validations is equally long.
    "published": Recipe(loop=LoopConfig(dispatch=128, checkpoint_every=1280, patience=5)),
    # A model with a tenth of the weights, and windows with many targets, for a laptop.
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
    # The recipe of the bundled weights, for an accelerator: six minutes on an H200.
    "box": Recipe(
        ModelConfig(
            num_kv_heads=3,
            context_length=96,
            attention_window=128,
            lags=BOX_LAGS,
            imputation="loc",
            scale_features="relative",
            observed_features=True,
            squash="arcsinh",
            one_pass=True,
            min_sigma=1e-3,
        ),
        DataConfig(
            future_length=33,
            min_context=32,
            min_past=16,
            mixture="root_timesteps",
            series_power=0.7,
            short_history=0.25,
            drop_calendar=0.2,
            stretch=0.05,
            noise=0.25,
            mixup=0.1,
            flip=0.1,
            shift=0.25,
            synthetic=0.35,
            augmentation=0.0,
        ),
        TrainConfig(
            steps=14_000,
            batch_size=256,
            learning_rate=2e-3,
            optimizer="muon",
            schedule="trapezoid",
            warmup_steps=300,
            decay_steps=4200,
            weight_decay=0.01,
            b2=0.99,
            clip_norm=1.0,
            ema_decay=0.999,
            max_scaled=1e4,
            residual_gain=0.3,
            one_pass_share=0.6,
        ),
        LoopConfig(dispatch=50, checkpoint_every=1000, validation_windows=512),
    ),
    # A tiny model that takes seconds on a laptop, for trying the command.
    "tiny": Recipe(
        ModelConfig.tiny(attention_window=40),
        DataConfig(future_length=8, min_past=16),
        TrainConfig(steps=40, batch_size=16, learning_rate=1e-3, ema_decay=0.9, clip_norm=1.0),
        LoopConfig(dispatch=10, checkpoint_every=20, validation_windows=64),
    ),
}
