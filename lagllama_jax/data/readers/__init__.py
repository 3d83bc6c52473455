"""Readers of the file formats in which public time series are passed on, one a file."""
