"""The result of `impact` as a table, in words, and as a data frame."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from lagllama_jax.causal.effect import Effect

if TYPE_CHECKING:
    import pandas as pd

WAYS = {
    "network": "the network, with the controls as known covariates",
    "regression_network": "a linear regression on the controls, and the network for what is left",
    "synthetic_control": "synthetic control, a weighted mean of the controls",
    "ridge": "Bayesian ridge regression on the controls",
}
CAVEAT = (
    "The difference is an effect of the intervention only if the intervention did not change the "
    "controls, nothing else changed at the same time, and target and controls would have gone on "
    "to be related as before. That the controls did not move is no proof."
)


def summary(effect: Effect) -> str:
    """A table with the columns Average and Cumulative."""
    observed = effect.observed
    count = int(observed.sum())
    actual = float(effect.actual[observed].mean())
    means = effect.counterfactual[:, observed].mean(axis=1)
    low, high = (float(value) for value in np.quantile(means, [0.025, 0.975]))
    predicted, deviation = float(effect.predicted[observed].mean()), effect.deviation
    bottom, top = effect.average_interval
    relative, share = effect.relative_effect, effect.relative_interval
    both = lambda form: [form(1), form(count)]  # noqa: E731
    rows: list[tuple[str, list[str]]] = [
        ("Actual", both(lambda n: _number(n * actual))),
        ("Prediction (s.d.)", both(lambda n: _with(n * predicted, n * deviation))),
        ("95% CI", both(lambda n: _range(n * low, n * high))),
        ("", ["", ""]),
        ("Absolute effect (s.d.)", both(lambda n: _with(n * effect.average_effect, n * deviation))),
        ("95% CI", both(lambda n: _range(n * bottom, n * top))),
        ("", ["", ""]),
        ("Relative effect", [_share(relative)] * 2),
        ("95% CI", [_range(*share, form=_share)] * 2),
    ]
    widths = [max(len(row[1][column]) for row in rows) for column in (0, 1)]
    widths = [
        max(width, len(name)) for width, name in zip(widths, ("Average", "Cumulative"), strict=True)
    ]
    head = f"{'':<24}{'Average':<{widths[0] + 2}}{'Cumulative':<{widths[1]}}"
    lines = [head.rstrip()]
    for name, (average, cumulative) in rows:
        lines.append(f"{name:<24}{average:<{widths[0] + 2}}{cumulative}".rstrip())
    lines += [
        "",
        f"p-value, {_by(effect)}: {effect.p_value:.3g}",
        f"Tail probability of the sample paths alone: {effect.tail_probability:.3g}",
        f"Method: {effect.method}",
        effect.verdict,
    ]
    return "\n".join(lines)


def _by(effect: Effect) -> str:
    """What the p-value rests on."""
    if effect.trials:
        return f"by {len(effect.trials)} placebos"
    return "by the sample paths alone, without placebos"


def _number(value: float) -> str:
    return f"{value:.4g}" if abs(value) < 1e4 else f"{value:,.0f}"


def _share(part: float) -> str:
    return "unknown" if np.isnan(part) else f"{part:.1%}"


def _relatively(effect: Effect) -> str:
    if np.isnan(effect.relative_effect):
        return "It has no relative size, as the prediction may be 0."
    return f"In relative terms, it is {effect.relative_effect:+.1%}."


def _with(value: float, deviation: float) -> str:
    return f"{_number(value)} ({_number(deviation)})"


def _range(low: float, high: float, form: Callable[[float], str] = _number) -> str:
    return f"[{form(low)}, {form(high)}]"


def report(effect: Effect) -> str:
    """The result in paragraphs."""
    study, observed = effect.study, effect.observed
    units = study.units
    name = repr(units[0]) if len(units) == 1 else f"the mean of {len(units)} units"
    low, high = effect.average_interval
    sums = effect.cumulative_interval
    actual, predicted = (float(part[observed].mean()) for part in (effect.actual, effect.predicted))
    when = f"from {_stamp(study.interventions[0])} on"
    if study.staggered:
        when = "after the intervention on each unit"
    first = (
        f"In the {study.after} time steps {when}, {name} was "
        f"{_number(actual)} on average. Without the intervention, {_number(predicted)} would have "
        f"been expected. The difference is {_number(effect.average_effect)} per time step, with a "
        f"95 % interval from {_number(low)} to {_number(high)}, and "
        f"{_number(effect.cumulative_effect)} in sum (from {_number(sums[0])} to "
        f"{_number(sums[1])}). {_relatively(effect)}"
    )
    return "\n\n".join([first, _decision(effect), _how(effect), " ".join([*effect.notes, CAVEAT])])


def _decision(effect: Effect) -> str:
    scores = len(effect.trials)
    words = effect.verdict
    if scores:
        words += (
            f" At {scores} false interventions, a difference that is as large in relation to its "
            f"uncertainty occurs with a frequency of {effect.empirical_p_value:.2g}."
        )
    if not effect.significant:
        words += (
            " This does not show that there was no effect: the interval tells which are possible."
        )
    return words


def _how(effect: Effect) -> str:
    way = WAYS.get(effect.method, effect.method)
    if not effect.study.controls:
        way = way.split(",")[0].replace(" on the controls", "") + ", from the past alone"
    words = f"Method: {way}."
    if effect.scores:
        widths = ", ".join(f"{name} {score:.2f}" for name, score in effect.scores.items())
        words += (
            " It was chosen as the one that is most certain of the average effect after the "
            "calibration. The standard deviations, in those of the past, are: "
            f"{widths}."
        )
    factor = effect.null.factor
    if effect.trials:
        change = "wider" if factor >= 1 else "narrower"
        cause = " and the choice of the narrowest" if effect.scores else ""
        words += (
            f" By the false interventions{cause}, the intervals are {change} than those of the "
            f"sample paths (factor {factor:.2f}), with the tails of a t distribution of "
            f"{effect.null.df:.0f} degrees of freedom."
        )
    return words


def _stamp(stamp: object) -> str:
    text = str(stamp)
    return text.removesuffix(" 00:00:00")


def to_frame(effect: Effect) -> "pd.DataFrame":
    """One row per unit and time step after the intervention."""
    import pandas as pd

    study = effect.study
    several = len(study.units) > 1
    parts = [(name, effect.unit(number)) for number, name in enumerate(study.units)]
    if several:
        parts.append(("average", effect))
    times = study.times[study.before :]
    frames = []
    for name, one in parts:
        low, high = np.quantile(one.counterfactual, [0.025, 0.975], axis=0)
        sums, bottom, top = running(one)
        frames.append(
            pd.DataFrame(
                {
                    "unit": name,
                    study.time_name: times,
                    "actual": one.actual,
                    "predicted": one.predicted,
                    "predicted_lower": low,
                    "predicted_upper": high,
                    "effect": one.actual - one.predicted,
                    "effect_lower": one.actual - high,
                    "effect_upper": one.actual - low,
                    "cumulative": sums,
                    "cumulative_lower": bottom,
                    "cumulative_upper": top,
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def running(effect: Effect) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The cumulative effect up to each point, and its interval of 95 %."""
    observed = effect.observed
    actual = np.where(observed, effect.actual, 0.0)
    paths = np.cumsum(actual - np.where(observed, effect.counterfactual, 0.0), axis=1)
    low, high = np.quantile(paths, [0.025, 0.975], axis=0)
    sums = np.cumsum(actual - np.where(observed, effect.predicted, 0.0))
    return sums, low, high
