"""Metrics, protocols, baselines and tables: how good a forecast is, and against what."""
