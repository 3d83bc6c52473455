"""Evaluation: how good the forecasts of a predictor are, and compared with what."""
