"""The table of the model's weights: path in the parameter tree, name in PyTorch, and shape.

Both directions of the conversion and all checks of shapes use this table (`rows`).
"""

from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from lagllama_jax.checkpoints.torch.names import listed
from lagllama_jax.config import ModelConfig
from lagllama_jax.errors import CheckpointError, naming
from lagllama_jax.typing import Parameters

COSINES = 64
"""Number of cosines in which the implicit quantile head embeds a level."""

_EMBEDDING = (("wte.weight", "embedding/kernel", "F D"), ("wte.bias", "embedding/bias", "D"))
_BLOCK = (
    ("h.{i}.rms_1.scale", "block_{i}/attention_norm/scale", "D"),
    ("h.{i}.attn.q_proj.weight", "block_{i}/attention/query/kernel", "D D"),
    ("h.{i}.attn.kv_proj.weight", "block_{i}/attention/key_value/kernel", "D KV"),
    ("h.{i}.attn.c_proj.weight", "block_{i}/attention/output/kernel", "D D"),
    ("h.{i}.rms_2.scale", "block_{i}/mlp_norm/scale", "D"),
    ("h.{i}.mlp.c_fc1.weight", "block_{i}/mlp/gate/kernel", "D W"),
    ("h.{i}.mlp.c_fc2.weight", "block_{i}/mlp/up/kernel", "D W"),
    ("h.{i}.mlp.c_proj.weight", "block_{i}/mlp/down/kernel", "W D"),
)
# The authors' model has no attention across variates: these names in PyTorch are our own.
_VARIATES = (
    ("h.{i}.variate_rms.scale", "block_{i}/variate_norm/scale", "D"),
    ("h.{i}.variate.q_proj.weight", "block_{i}/variate_attention/query/kernel", "D D"),
    ("h.{i}.variate.kv_proj.weight", "block_{i}/variate_attention/key_value/kernel", "D KV"),
    ("h.{i}.variate.c_proj.weight", "block_{i}/variate_attention/output/kernel", "D D"),
    ("h.{i}.variate.role", "block_{i}/variate_attention/role", "2 2 K H"),
    ("h.{i}.variate.sink", "block_{i}/variate_attention/sink", "N"),
)
_FINAL = (("ln_f.scale", "final_norm/scale", "D"),)


def _projections(*names: str) -> tuple[tuple[str, str, str], ...]:
    """Rows of a head with one linear layer per parameter, in the order of the reference."""
    return tuple(
        row
        for k, name in enumerate(names)
        for row in (
            (f"proj.{k}.weight", f"head/{name}/kernel", "D 1"),
            (f"proj.{k}.bias", f"head/{name}/bias", "1"),
        )
    )


_HEADS = {
    "student_t": _projections("df", "loc", "scale"),
    "negative_binomial": _projections("total_count", "logits"),
    "implicit_quantile": (
        ("quantile_layer.output_layer.0.weight", "head/cosine/kernel", "C C"),
        ("quantile_layer.output_layer.0.bias", "head/cosine/bias", "C"),
        ("quantile_layer.output_layer.1.weight", "head/cosine_slope", "1"),
        ("quantile_layer.output_layer.2.weight", "head/embedding/kernel", "C D"),
        ("quantile_layer.output_layer.2.bias", "head/embedding/bias", "D"),
        ("output_layer.0.weight", "head/hidden/kernel", "D D"),
        ("output_layer.0.bias", "head/hidden/bias", "D"),
        ("output_layer.1.weight", "head/hidden_slope", "1"),
        *_projections("output"),
    ),
}


class Row(NamedTuple):
    """One weight of the model.

    Attributes:
      torch: Key of the weight in the authors' `state_dict`.
      path: Path of the weight in the parameter tree, joined by `/`.
      shape: Shape of the weight in the parameter tree.
    """

    torch: str
    path: str
    shape: tuple[int, ...]

    @property
    def torch_shape(self) -> tuple[int, ...]:
        """Shape of the weight in the authors' checkpoint."""
        return self.shape[::-1]

    def converted(self, tensor: np.ndarray) -> np.ndarray:
        """A float32 copy of a tensor in PyTorch's layout from that of this package, or back.

        A kernel is `[in, out]` here and `[out, in]` in PyTorch.
        """
        kernel = self.path.endswith("/kernel")
        return np.array(tensor.T if kernel else tensor, np.float32, order="C")


def rows(config: ModelConfig) -> list[Row]:
    """Lists all weights of a model, in the order of the authors' checkpoints."""
    sizes = {
        "F": config.num_features,
        "D": config.width,
        "KV": 2 * config.kv_heads * config.head_dim,
        "W": config.mlp_width,
        "C": COSINES,
        "N": config.num_heads,
        "K": config.kv_heads,
        "H": config.head_dim,
        "1": 1,
        "2": 2,
    }
    block = _BLOCK + _VARIATES if config.variate_attention else _BLOCK

    def expand(table: Any, prefix: str, i: int = 0) -> Iterator[Row]:
        for torch, path, axes in table:
            shape = tuple(sizes[axis] for axis in axes.split())
            yield Row(prefix + torch.format(i=i), path.format(i=i), shape)

    trunk = "model.transformer."
    return [
        *expand(_HEADS[config.head], "model.param_proj."),
        *expand(_EMBEDDING, trunk),
        *(row for i in range(config.num_layers) for row in expand(block, trunk, i)),
        *expand(_FINAL, trunk),
    ]


def flatten(parameters: Parameters) -> dict[str, np.ndarray]:
    """Returns the arrays of a parameter tree by path, where `/` joins the parts of a path."""
    return {path: np.asarray(leaf) for path, leaf in flatten_dict(parameters, sep="/").items()}


def unflatten(flat: Mapping[str, Any]) -> Parameters:
    """Returns the tree of arrays from which `flatten` returned `flat`."""
    return unflatten_dict(flat, sep="/")


def check_tensors(
    found: Mapping[str, np.ndarray],
    config: ModelConfig,
    source: str,
    names: Literal["path", "torch"] = "path",
) -> list[Row]:
    """Checks that tensors are exactly those of a model, and returns the table of weights.

    Their names and shapes are those of this package (`path`) or of the authors' checkpoints
    (`torch`).

    Raises:
      CheckpointError: If the configuration has absurd sizes, or if a tensor is missing, unexpected,
        of a wrong shape, not of type float32, float16 or bfloat16, or not finite. The message names
        `source` and the tensors.
    """
    with naming(source):
        _check_sizes(found, config)
        table = rows(config)
        shapes = {
            getattr(row, names): row.shape if names == "path" else row.torch_shape for row in table
        }
        for verb, missing in (
            ("lacks", shapes.keys() - found.keys()),
            ("has unexpected", found.keys() - shapes.keys()),
        ):
            if missing:
                raise CheckpointError(
                    f"{verb} tensor(s) {listed(sorted(missing))}. The file does not fit its "
                    "configuration, or is not a Lag-Llama."
                )
        for name, shape in shapes.items():
            _check_tensor(name, found[name], shape)
    return table


def _check_sizes(found: Mapping[str, np.ndarray], config: ModelConfig) -> None:
    """Refuses absurd sizes in a configuration before memory is allocated for them."""
    numbers = sum(tensor.size for tensor in found.values())
    if config.num_layers > len(found) or config.width > numbers:
        raise CheckpointError(
            "num_layers, num_heads and head_dim of its configuration ask for more weights than "
            f"there are ({len(found)} tensors of {numbers} numbers). Give the configuration that "
            "belongs to them."
        )


def _check_tensor(name: str, tensor: np.ndarray, shape: tuple[int, ...]) -> None:
    if tensor.shape != shape:
        problem = f"has shape {tensor.shape}, but its configuration asks for {shape}."
    elif tensor.dtype.name not in ("float32", "float16", "bfloat16"):
        problem = f"holds {tensor.dtype.name}; expected float32, float16 or bfloat16."
    elif not np.isfinite(tensor.astype(np.float32)).all():
        problem = "is not finite, because training diverged. Take an earlier checkpoint."
    else:
        return
    raise CheckpointError(f"tensor {name} {problem}")
