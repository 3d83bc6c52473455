"""The score tables of the README and of the weights' card say what the recorded results say."""

import re

import numpy as np
import pandas as pd
import pytest

DOCUMENTS = ("README.md", "lagllama_jax/checkpoints/bundled/README.md")
ROW = r"^\| (ett\S+|m4_\S+|geometric mean, [^|]+) \| (.*) \|$"
CRPS, MASE = "eval_metrics/mean_weighted_sum_quantile_loss", "eval_metrics/MASE[0.5]"


@pytest.fixture(scope="module", params=DOCUMENTS)
def text(request, repository):
    return (repository / request.param).read_text()


@pytest.fixture(scope="module")
def results(repository):
    """By task: recorded CRPS, and CRPS and MASE over seasonal naive's, coverage in per cent."""
    folder = repository / "experiments/zero_shot"
    scores = pd.read_csv(folder / "results/gift_eval/all_results.csv")
    calibration = pd.read_csv(folder / "results/gift_eval/calibration.csv")
    published = pd.read_csv(folder / "published.csv", comment="#")
    crps, mase = (scores.pivot(index="dataset", columns="model", values=v) for v in (CRPS, MASE))
    theirs = published.pivot(index="dataset", columns="model", values="crps")
    covered = calibration.pivot(index="dataset", columns="model", values="coverage_80")
    return pd.DataFrame(
        {
            "crps": crps["lagllama_jax"],
            "here": crps["lagllama_jax"] / crps["seasonal_naive"],
            "released": theirs["Lag-Llama"] / theirs["seasonal_naive"],
            "toto": theirs["Toto-2.0-4m"] / theirs["seasonal_naive"],
            "covered": 100 * covered["lagllama_jax"],
            "mase": mase["lagllama_jax"] / mase["seasonal_naive"],
        }
    )


def table(text: str) -> dict[str, list[str]]:
    """Cells of the rows of tasks and means, by their first one."""
    rows = re.findall(ROW, text, re.MULTILINE)
    return {name: [cell.strip(" *") for cell in cells.split("|")] for name, cells in rows}


def printed(value: float, like: str) -> str:
    """`value` with as many decimals as the number in `like`, and what follows that."""
    number, rest = re.fullmatch(r"([\d.]+)(.*)", like).groups()
    return f"{value:.{len(number.partition('.')[2])}f}{rest}"


def geometric_mean(ratios: pd.DataFrame) -> pd.Series:
    return np.exp(np.log(ratios).mean())


def test_each_task_is_as_measured(text, results):
    columns = ["crps", "here", "released", "toto", "covered"]
    shown = {name: cells for name, cells in table(text).items() if name in results.index}
    assert len(shown) == len(results) == 17
    for name, cells in shown.items():
        values = results.loc[name, columns]
        assert cells == [printed(*pair) for pair in zip(values, cells, strict=True)], name


@pytest.mark.parametrize("name", ["16 ETT tasks", "all 17"])
def test_means_are_those_of_the_tasks(text, results, name):
    some = results[results.index.str.startswith("ett")] if "ETT" in name else results
    values = [*geometric_mean(some[["here", "released", "toto"]]), some["covered"].mean()]
    cells = table(text)[f"geometric mean, {name}"][1:]
    assert cells == [printed(*pair) for pair in zip(values, cells, strict=True)]


def test_mase_is_as_measured(text, results):
    mean = geometric_mean(results[["mase"]])["mase"]
    (stated,) = re.findall(r"MASE is (\d\.\d+) of seasonal naive's", text)
    assert stated == printed(mean, stated)
    for count in re.findall(r"above it on (\d+) of them", text):
        assert int(count) == (results["mase"] > 1).sum()
