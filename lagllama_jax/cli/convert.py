"""`lagllama convert`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from lagllama_jax.cli.arguments import OptionalFile

if TYPE_CHECKING:
    from lagllama_jax.config import ModelConfig
    from lagllama_jax.typing import Parameters


def convert(
    source: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="SOURCE")],
    out: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="OUT")],
    /,
    *,
    verify: OptionalFile = None,
    to_torch: tyro.conf.FlagCreatePairsOff[bool] = False,
    reference_scaling: tyro.conf.FlagCreatePairsOff[bool] = False,
    half: tyro.conf.FlagCreatePairsOff[bool] = False,
) -> int:
    """Turns an authors' checkpoint into a model folder, or a model into an authors' checkpoint.

    Neither way needs PyTorch, and nothing that a checkpoint's pickle asks for is run. Exit code 1:
    the verification failed, and nothing was written.

    Args:
      source: authors' .ckpt file; with --to-torch any model: a folder, a hub id, a .ckpt
        file, or `box` for the weights in the package.
      out: folder for config.json and model.safetensors; a .ckpt file with --to-torch.
      verify: .npz file of the reference's results for this checkpoint. Prints a line for every
        quantity: its largest relative error, the tensor where it is, and the tolerance.
      to_torch: write a checkpoint with the authors' tensors and plain hyper-parameters, which
        torch.load(weights_only=True) reads.
      reference_scaling: scale series as the reference to the letter, degenerate ones too.
      half: store the weights as float16.
    """
    from lagllama_jax.checkpoints.hub import from_pretrained, save_pretrained
    from lagllama_jax.checkpoints.torch import converter as torch
    from lagllama_jax.errors import ConfigError

    if to_torch and (reference_scaling or half):
        raise ConfigError("--reference-scaling and --half do not go with --to-torch.")
    if to_torch:
        config, parameters = from_pretrained(source)
    else:
        config, parameters = torch.from_torch(source, reference_scaling=reference_scaling)
    if verify is not None and not agrees(config, parameters, verify):
        return 1
    if to_torch:
        torch.to_torch(out, config, parameters)
    else:
        save_pretrained(out, config, parameters, dtype="float16" if half else "float32")
    print(f"Wrote {out}.")
    return 0


def agrees(config: "ModelConfig", parameters: "Parameters", recorded: Path) -> bool:
    """Prints how far the model is from recorded results; whether all is within tolerance."""
    from lagllama_jax.checkpoints.torch.parity.verify import read_recorded, verify

    passed = True
    for check in verify(config, parameters, read_recorded(recorded)):
        verdict = "ok  " if check.passed else "FAIL"
        print(
            f"{verdict} {check.quantity:<26} {check.error:8.1e} of {check.tolerance:.0e}"
            f"  ({check.worst})",
            flush=True,
        )
        passed &= check.passed
    return passed
