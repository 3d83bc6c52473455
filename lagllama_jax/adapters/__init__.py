"""The model in the forms of other packages, each of which is an extra."""
