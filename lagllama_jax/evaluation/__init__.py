"""Evaluation: scores of the forecasts of a predictor, and comparisons with baselines."""
