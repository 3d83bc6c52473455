"""`lagllama convert`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from lagllama_jax.cli.arguments import OptionalFile

if TYPE_CHECKING:
    from lagllama_jax.config import ModelConfig
    from lagllama_jax.typing import Parameters


def main(
    source: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="SOURCE")],
    out: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="OUT")],
    /,
    *,
    verify: OptionalFile = None,
    to_torch: bool = False,
    reference_scaling: bool = False,
    half: bool = False,
) -> int:
    """Turns an authors' checkpoint into a model folder, or a model into an authors' checkpoint.

    Neither needs PyTorch, and no code of a checkpoint is run. Exit code 1 means that the
    verification failed and nothing was written.

    Args:
      source: Authors' .ckpt file. With --to-torch any model: a folder, a hub id, a .ckpt file, or
        box for the bundled weights.
      out: Folder for config.json and model.safetensors. With --to-torch a .ckpt file.
      verify: File (.npz) with results of the reference implementation for this checkpoint. The
        command prints the largest relative error of every quantity, its tensor and the tolerance.
      to_torch: Write a checkpoint with the authors' tensors and plain hyper-parameters, which
        torch.load(weights_only=True) reads.
      reference_scaling: Scale degenerate series, too, exactly as the reference implementation.
      half: Store the weights as float16.
    """
    from lagllama_jax.checkpoints.hub import from_pretrained, save_pretrained
    from lagllama_jax.checkpoints.torch import converter as torch
    from lagllama_jax.errors import ConfigError
    from lagllama_jax.files import check_outputs

    if to_torch and (reference_scaling or half):
        raise ConfigError("--reference-scaling and --half do not go with --to-torch.")
    outputs = {"files": [out]} if to_torch else {"folders": [out]}
    check_outputs(inputs=[source, verify], **outputs)
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
    """Prints the errors relative to recorded results, and returns whether all are tolerable."""
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
