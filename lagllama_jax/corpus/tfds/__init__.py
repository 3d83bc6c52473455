"""The data sets of the catalogue as TensorFlow Datasets, which work without TensorFlow."""

NAME, VERSION = "lagllama_series", "2.0.0"
"""Of the one builder; a data set lies in `data_dir/NAME/data set/VERSION`."""
