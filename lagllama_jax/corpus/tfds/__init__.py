"""The data sets of the catalogue as TensorFlow Datasets (TFDS), without TensorFlow."""

NAME, VERSION = "lagllama_series", "2.0.0"
"""Name and version of the builder. A data set is stored in `data_dir/NAME/DATASET/VERSION`."""
