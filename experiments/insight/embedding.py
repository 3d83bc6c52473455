"""Compares embeddings of series with catch22 features: nearest neighbours and retrieval.

pip install pycatch22
python experiments/insight/embedding.py
"""

import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np
import pandas as pd
import tyro

from lagllama_jax import LagLlama
from lagllama_jax.corpus.formats.parquet import read_parquet
from lagllama_jax.files import write_rows
from lagllama_jax.insight.similarity import similarity
from lagllama_jax.model.network import init_parameters
from lagllama_jax.series.dataset import SeriesDataset

HERE = Path(__file__).resolve().parent
SHARED = Path(os.environ.get("LAGLLAMA_SHARED", HERE / "../../../shared"))
DOMAINS = {
    "energy": "australian_electricity_demand citylearn_2022 electricity energy_appliance ercot "
    "gefcom2012 gefcom2014 load_misc pjm_hourly smart_meters",
    "renewables": "solar solar_rts_gmlc wind wind_rts_gmlc",
    "air": "airqualityuci beijing_multisite kdd_cup_2018",
    "computers": "azure_vm_traces datacenter_traces nab wikipedia_page_visits",
    "traffic": "bikesharing nyc_taxi_daily parking seattle_trail traffic uber_tlc",
    "tourism": "tourism tourism_au",
    "economy": "aus_retail autots carparts pbs stocks",
}
"""Domains of data sets that have one. The other data sets are mixed."""
DOMAIN_OF = {name: domain for domain, names in DOMAINS.items() for name in names.split()}
FEWEST, SPLITS = 32, 5
LABELS = ["dataset", "frequency", "domain"]


@dataclass(frozen=True)
class Arguments:
    """What is compared.

    Attributes:
      model: `box` for the bundled weights, or a folder.
      data_dir: Folder with the folders `corpus` and `evaluation`.
      series: Largest number of series per data set.
      lengths: Numbers of last points that are described.
      catch22: Whether to compare with catch22, which needs the package pycatch22.
      output: Folder for the tables.
    """

    model: str = "box"
    data_dir: Path = SHARED / "data"
    series: int = 60
    lengths: tuple[int, ...] = (1156, 256)
    catch22: bool = True
    output: Path = HERE / "results"


def sampled(path: Path, count: int) -> SeriesDataset:
    """At most `count` series of a file, chosen by a hash of their names."""
    dataset = read_parquet(path)
    usable = [
        row
        for row, target in enumerate(dataset.targets)
        if np.isfinite(target).sum() >= FEWEST and np.nanmax(target) > np.nanmin(target)
    ]
    hashes = {row: zlib.crc32(f"insight/{dataset.item_ids[row]}".encode()) for row in usable}
    return dataset.take(sorted(sorted(usable, key=hashes.__getitem__)[:count]))


def last(dataset: SeriesDataset, length: int) -> SeriesDataset:
    """The last `length` points of each series, without dates."""
    targets = [target[:, -length:] for target in dataset.targets]
    return SeriesDataset(dataset.item_ids, targets)


def catch22(series: list[np.ndarray]) -> np.ndarray:
    """The 22 features (Lubba et al. 2019) of each series, whose gaps are interpolated linearly."""
    import pycatch22

    rows = []
    for values in series:
        seen = np.flatnonzero(np.isfinite(values))
        filled = np.interp(np.arange(seen[0], len(values)), seen, values[seen])
        rows.append(pycatch22.catch22_all(filled.tolist())["values"])
    return np.nan_to_num(np.array(rows))


def representations(
    models: tuple[LagLlama, LagLlama], dataset: SeriesDataset, length: int, peers: bool
) -> Iterator[tuple[str, np.ndarray]]:
    """The vectors of all series in each way."""
    plain, (model, untrained) = last(dataset, length), models
    yield "embedding", model.embed(plain)
    yield "embedding, untrained weights", untrained.embed(plain)
    if peers:
        yield "catch22", catch22([target[0] for target in plain.targets])


def standardised(queries: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    """Cosine of the angle between vectors, after each entry is standardised by the candidates."""
    center, width = candidates.mean(0), candidates.std(0) + 1e-12
    queries, candidates = ((part - center) / width for part in (queries, candidates))
    queries, candidates = (
        part / np.linalg.norm(part, axis=1, keepdims=True) for part in (queries, candidates)
    )
    return queries @ candidates.T


RULES = {"standardised": standardised, "half whitened": similarity}
"""How vectors are compared."""


def neighbour_scores(
    vectors: np.ndarray, labels: dict[str, np.ndarray], test: np.ndarray, rule: str
) -> dict[str, float]:
    """Accuracy of the nearest neighbour's label, for the series of one half.

    The neighbours are other series, of the other half. For `frequency` and `domain` they are also
    of other data sets, so that a data set cannot be recognised.
    """
    close = RULES[rule](vectors[test], vectors[~test])
    same = labels["dataset"][test][:, None] == labels["dataset"][~test]
    scores = {}
    for name in LABELS:
        mine, theirs = labels[name][test], labels[name][~test]
        allowed = np.ones_like(same) if name == "dataset" else ~same
        allowed &= theirs != ""
        nearest = np.where(allowed, close, -np.inf).argmax(1)
        known = mine != ""
        right = (theirs[nearest] == mine)[known]
        scores[name] = float(right.mean())
        each = [right[mine[known] == label].mean() for label in np.unique(mine[known])]
        scores[f"{name}, mean of labels"] = float(np.mean(each))
        found, count = np.unique(theirs[theirs != ""], return_counts=True)
        commonest = found[count.argmax()]
        scores[f"{name}, commonest label"] = float((mine[known] == commonest).mean())
    return scores


def classify(arguments: Arguments, models: tuple[LagLlama, LagLlama]) -> None:
    parts = {
        path.stem: sampled(path, arguments.series)
        for path in sorted((arguments.data_dir / "corpus").glob("*.parquet"))
    }
    names = np.array([name for name, part in parts.items() for _ in range(len(part))])
    ids = [item for part in parts.values() for item in part.item_ids]
    targets = [target for part in parts.values() for target in part.targets]
    pairs = [f"{name}/{item}" for name, item in zip(names, ids, strict=True)]
    labels = {
        "dataset": names,
        "domain": np.array([DOMAIN_OF.get(name, "") for name in names]),
        "frequency": np.array([str(f) for part in parts.values() for f in part.frequencies]),
    }
    halves = [
        np.array([zlib.crc32(f"half{number or ''}/{pair}".encode()) % 2 == 1 for pair in pairs])
        for number in range(SPLITS)
    ]
    halves += [~half for half in halves]
    whole = SeriesDataset(pairs, targets)
    print(len(whole), "series", flush=True)
    rows = []
    for length in arguments.lengths:
        for way, vectors in representations(models, whole, length, arguments.catch22):
            for rule in RULES:
                scores = pd.DataFrame(
                    [neighbour_scores(vectors, labels, half, rule) for half in halves]
                )
                row = {"length": length, "way": way, "rule": rule}
                row |= {name: f"{value:.3f}" for name, value in scores.mean().items()}
                row["deviation over splits"] = f"{scores.std()[LABELS].max():.3f}"
                rows.append(row)
                print(row, flush=True)
            write_rows(arguments.output / "classification.csv", rows, list(rows[0]))


def halves(dataset: SeriesDataset, length: int) -> tuple[SeriesDataset, SeriesDataset]:
    """At most `length` points before the middle of each series, and as many after it."""
    first, second = [], []
    for target in dataset.targets:
        middle = target.shape[1] // 2
        first.append(target[:, max(0, middle - length) : middle])
        second.append(target[:, middle : middle + length])
    return SeriesDataset(dataset.item_ids, first), SeriesDataset(dataset.item_ids, second)


def retrieve(arguments: Arguments, models: tuple[LagLlama, LagLlama]) -> None:
    """Finds the later half of each series among those of all series of its data set."""
    sets = {"m4_hourly": arguments.data_dir / "evaluation/m4_hourly.parquet"}
    sets |= {
        name: arguments.data_dir / f"corpus/{name}.parquet"
        for name in ("azure_vm_traces", "gefcom2012", "kdd_cup_2018", "nn_competitions", "pbs")
    }
    rows = []
    for name, path in sets.items():
        first, second = halves(sampled(path, 500), max(arguments.lengths))
        kept = [
            row
            for row, pair in enumerate(zip(first.targets, second.targets, strict=True))
            if all(np.isfinite(t).sum() >= FEWEST and np.nanmax(t) > np.nanmin(t) for t in pair)
        ]
        first, second = first.take(kept), second.take(kept)
        ways = zip(
            representations(models, first, max(arguments.lengths), arguments.catch22),
            representations(models, second, max(arguments.lengths), arguments.catch22),
            strict=True,
        )
        for (way, queries), (_, candidates) in ways:
            for rule, compare in RULES.items():
                close = compare(queries, candidates)
                rank = (close > np.diag(close)[:, None]).sum(1) + 1
                row = {"dataset": name, "series": len(kept), "way": way, "rule": rule}
                row |= {f"top {k}": f"{(rank <= k).mean():.3f}" for k in (1, 5)}
                rows.append(row | {"mean reciprocal rank": f"{(1 / rank).mean():.3f}"})
                print(rows[-1], flush=True)
            write_rows(arguments.output / "retrieval.csv", rows, list(rows[0]))


def main(arguments: Arguments) -> None:
    model = LagLlama.from_pretrained(arguments.model)
    untrained = LagLlama(init_parameters(model.config, jax.random.key(0)), model.config)
    classify(arguments, (model, untrained))
    retrieve(arguments, (model, untrained))


if __name__ == "__main__":
    main(tyro.cli(Arguments, description=__doc__))
