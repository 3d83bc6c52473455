"""The data sets of the catalogue as TensorFlow Datasets (TFDS), without TensorFlow."""

NAME, VERSION = "lagllama_series", "2.0.0"
"""Name and version of the builder; a data set is in `data_dir/NAME/data set/VERSION`."""
