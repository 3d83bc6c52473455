"""Augmentations: pure functions on batches of windows."""
