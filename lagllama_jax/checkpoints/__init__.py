"""Weights in and out of files: the box, folders, the hub, and the authors' checkpoints."""
