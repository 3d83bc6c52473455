"""Loads and saves models: the bundled weights, folders, the hub and the authors' checkpoints."""
