"""Forecasts of very many series: folders of shards, on this machine, on Ray or on Spark."""

from lagllama_jax.distributed.folder import Summary, forecast_folder

__all__ = ["Summary", "forecast_folder"]
