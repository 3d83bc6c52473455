"""Reads and writes models: the bundled weights, folders, the hub, and the authors' checkpoints."""
