"""Compares the training step of the published model in PyTorch and here, on the same machine.

.venv-peers/bin/python experiments/benchmarks/training_torch.py     # after `make test-peers`

A plain PyTorch module of the published architecture, with fused attention and fused Adam, steps on
128 windows of 32 tokens that are ready in memory; the step of this package also draws its windows.
They run alternately, each in a process of its own.
"""

import json
import subprocess
import sys
from pathlib import Path

import torch
import tyro
from record import save
from torch import nn
from torch.nn import functional as F  # noqa: N812
from training import best_seconds

from lagllama_jax.config import ModelConfig

RESULTS = Path(__file__).resolve().parent / "results" / "training_torch.csv"
WINDOWS, TOKENS = 128, 32
CONFIG = ModelConfig.released()


class Block(nn.Module):
    """Pre-norm attention with rotary positions, and SwiGLU."""

    def __init__(self) -> None:
        """Makes the layers."""
        super().__init__()
        width, hidden = CONFIG.width, CONFIG.mlp_width
        self.norms = nn.ModuleList([nn.RMSNorm(width, eps=1e-5) for _ in range(2)])
        self.query = nn.Linear(width, width, bias=False)
        self.key_value = nn.Linear(width, 2 * width, bias=False)
        self.output = nn.Linear(width, width, bias=False)
        self.gate = nn.Linear(width, hidden, bias=False)
        self.up = nn.Linear(width, hidden, bias=False)
        self.down = nn.Linear(hidden, width, bias=False)

    def forward(self, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
        """Applies attention and SwiGLU to hidden states `[windows, tokens, width]`."""
        normed = self.norms[0](x)
        parts = (self.query(normed), *self.key_value(normed).chunk(2, -1))
        heads = [p.view(*x.shape[:2], CONFIG.num_heads, -1).transpose(1, 2) for p in parts]
        query, key = (turn(part, cos, sin) for part in heads[:2])
        mixed = F.scaled_dot_product_attention(query, key, heads[2], is_causal=True)
        x = x + self.output(mixed.transpose(1, 2).reshape(x.shape))
        normed = self.norms[1](x)
        return x + self.down(F.silu(self.gate(normed)) * self.up(normed))


def turn(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Applies rotary position encoding."""
    one, two = x.chunk(2, -1)
    return torch.cat([one * cos - two * sin, two * cos + one * sin], -1)


class Model(nn.Module):
    """A model that maps tokens to the parameters of a Student-t distribution."""

    def __init__(self) -> None:
        """Makes the layers."""
        super().__init__()
        self.embedding = nn.Linear(CONFIG.num_features, CONFIG.width)
        self.blocks = nn.ModuleList([Block() for _ in range(CONFIG.num_layers)])
        self.norm = nn.RMSNorm(CONFIG.width, eps=1e-5)
        self.head = nn.Linear(CONFIG.width, 3)
        rates = 10_000.0 ** -(torch.arange(0, CONFIG.head_dim, 2) / CONFIG.head_dim)
        angles = torch.arange(TOKENS)[:, None] * rates
        self.register_buffer("cos", angles.cos())
        self.register_buffer("sin", angles.sin())

    def loss(self, features: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Mean negative log-likelihood."""
        x = self.embedding(features)
        for block in self.blocks:
            x = block(x, self.cos, self.sin)
        freedom, loc, scale = self.head(self.norm(x)).unbind(-1)
        tails = torch.distributions.StudentT(2 + F.softplus(freedom), loc, F.softplus(scale))
        return -tails.log_prob(targets).mean()


def torch_seconds() -> float:
    """Time in seconds of the shortest of a few steps."""
    torch.manual_seed(0)
    model = Model()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4, fused=True)
    features = torch.randn(WINDOWS, TOKENS, CONFIG.num_features)
    targets = torch.randn(WINDOWS, TOKENS)

    def step() -> None:
        optimizer.zero_grad()
        model.loss(features, targets).backward()
        optimizer.step()

    return best_seconds(step)


def main(torch_only: bool = False, turns: int = 2, output: Path = RESULTS) -> None:
    """Times PyTorch and this package alternately, or prints the seconds of PyTorch.

    Args:
      torch_only: Time only PyTorch.
      turns: Number of times that each is timed; the shortest time counts.
      output: CSV file to write.
    """
    if torch_only:
        print(json.dumps(torch_seconds()))
        return
    ours = [str(Path(__file__).with_name("training.py")), "--case", "published"]
    commands = {"torch": [__file__, "--torch-only"], "lagllama_jax": ours}
    rows = []
    for _ in range(turns):
        for name, command in commands.items():
            run = subprocess.run([sys.executable, *command], check=True, stdout=subprocess.PIPE)
            found = json.loads(run.stdout)
            seconds = found if name == "torch" else found["seconds_a_step"]
            rows.append({"step": name, "windows": WINDOWS, "seconds": seconds})
            print(rows[-1], flush=True)
    best = [min((r for r in rows if r["step"] == n), key=lambda r: r["seconds"]) for n in commands]
    versions = {"torch": torch.__version__}
    save([row | {"version": versions.get(row["step"], "")} for row in best], output, digits=4)


if __name__ == "__main__":
    tyro.cli(main)
