"""Whatever comes in a form, in a file name or in a cell is read or refused, and does no harm."""

import csv
import io
import re

import pandas as pd
from hypothesis import example, given
from hypothesis import strategies as st

from lagllama_jax.app.choice import Choice
from lagllama_jax.app.download import plain_csv
from lagllama_jax.app.fields import choice_of, fields_of, forecast_of, impact_of
from lagllama_jax.app.store import LONGEST_NAME, safe_name
from lagllama_jax.app.summary import TableSummary
from lagllama_jax.errors import ConfigError
from tests.app.conftest import LIMITS

COLUMNS = ("a", "b\r\nc", "<d>", "")
NAMES = ("layout", "id", "time", "target", "known", "order", "horizon", "samples", "method")
VALUES = st.lists(st.sampled_from(["", "0", "3", "4", "-1", "²", "wide", "auto"]) | st.text())


@given(st.dictionaries(st.sampled_from(NAMES + ("placebos", "treated", "decimal")), VALUES))
def test_a_form_is_a_question_or_refused(fields):
    summary = TableSummary(COLUMNS, 1, (), Choice())
    for read in (lambda: forecast_of(fields, summary, LIMITS), lambda: impact_of(fields, summary)):
        try:
            question = read()
        except ConfigError:
            continue
        assert set(question.choice.target) <= set(COLUMNS)


@given(
    st.sampled_from(["long", "wide"]),
    st.permutations(COLUMNS),
    st.integers(0, 2),
    st.sampled_from([None, True, False]),
)
def test_a_choice_comes_back_from_its_form(layout, names, count, dayfirst):
    item = names[0] if layout == "long" else None
    choice = Choice(layout, item, names[1], tuple(names[2 : 2 + count]), dayfirst=dayfirst)
    order = {None: "", True: "day", False: "month"}[dayfirst]
    read = choice_of(fields_of(choice, COLUMNS) | {"order": [order]}, COLUMNS)
    assert read == choice


@given(st.text())
def test_a_file_name_is_one_short_name(given_name):
    name = safe_name(given_name)
    assert 0 < len(name) <= LONGEST_NAME and name not in (".", "..")
    assert not set(name) & set('/\\\0\n<>"')


@example(["-1\r"])
@given(st.lists(st.text(st.sampled_from("=+-@ \t\r\na1,.|'\""), min_size=1), min_size=1))
def test_no_cell_of_the_csv_file_is_a_formula(names):
    content, _ = plain_csv(pd.DataFrame({"name": names, "value": 1.0}))
    rows = list(csv.reader(io.StringIO(content.decode(), newline="")))[1:]
    assert len(rows) == len(names)
    for (cell, _), name in zip(rows, names, strict=True):
        assert cell.removeprefix("'") == re.sub("\r\n?", "\n", name).removeprefix("'")
        number = re.fullmatch(r"\s*[+-]\d+([.,]\d+)?", cell)
        assert number or cell.lstrip()[:1] not in ("=", "+", "-", "@") and cell[:1] != "\t"
