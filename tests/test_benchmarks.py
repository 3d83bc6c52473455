"""The tables of the benchmarks."""

import csv
import math


def test_a_table_of_measurements_is_rounded_dated_and_names_the_processor(
    repository, monkeypatch, tmp_path
):
    monkeypatch.syspath_prepend(repository / "experiments/benchmarks")
    import record

    from lagllama_jax.evaluation.provenance import processor

    rows = [{"case": "a", "seconds": 1 / 3}, {"case": "b", "seconds": math.nan, "points": 7}]
    record.save(rows, tmp_path / "new" / "table.csv", digits=2)
    with open(tmp_path / "new" / "table.csv", newline="") as file:
        written = list(csv.DictReader(file))
    assert list(written[0]) == ["case", "seconds", "points", "date", "hardware"]
    assert [(row["seconds"], row["points"]) for row in written] == [("0.33", ""), ("", "7")]
    assert all(row["hardware"].startswith(processor()) for row in written)
