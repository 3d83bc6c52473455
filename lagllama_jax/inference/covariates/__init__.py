"""Forecasts with known covariates, by a regression around any predictor."""
