"""What the page shows and answers, from the table to the results."""

import io
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pandas as pd
import pytest

from lagllama_jax.causal import impact
from tests.app.browsing import ask, form_of, links, problem, upload

pytestmark = pytest.mark.usefixtures("hurry")


def table_of(client, answer) -> pd.DataFrame:
    """The table that a page offers for download."""
    (address,) = links(answer, "table.csv")
    sent = client.get(address)
    assert sent.headers["content-disposition"].startswith("attachment")
    return pd.read_csv(io.BytesIO(sent.content))


@pytest.fixture(scope="module")
def chosen(client, content):
    """The page of a table with two series, of which nothing is asked yet."""
    return upload(client, content)


def test_the_pages_run_no_script_and_load_nothing_from_elsewhere(client, chosen):
    for answer in (client.get("/"), chosen):
        assert answer.status_code == 200
        assert "<script" not in answer.text and "://" not in answer.text
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; style-src 'self'; img-src 'self'")
    assert client.get("/style.css").headers["content-type"].startswith("text/css")
    assert "url(" not in client.get("/style.css").text
    assert client.get("/icon.svg").status_code == 200


def test_every_field_has_a_label(client, chosen):
    for text in (client.get("/").text, chosen.text):
        for tag in re.findall(r"<(?:input|select|textarea)[^>]*>", text):
            name = re.search(r' id="(\w+)"', tag)
            outside = name is not None and f'for="{name[1]}"' in text
            assert outside or re.search(f"<label[^>]*>{re.escape(tag)}", text), tag


def test_columns_are_proposed_as_the_command_line_takes_them(chosen):
    assert (
        "2 series with 60 time steps from 2026-01-01 to 2026-03-01, in steps of D." in chosen.text
    )
    fields = form_of(chosen)
    wanted = {"layout": ["long"], "id": ["0"], "time": ["1"], "target": ["2"]}
    assert wanted.items() <= fields.items() and "known" not in fields


def test_a_forecast_is_that_of_the_library_with_pictures(client, chosen, model, frame):
    answer = ask(client, chosen, "forecast", horizon="4", samples="7")
    assert problem(answer) == ""
    wanted = model.predict_df(frame.drop(columns="price"), 4, num_samples=7)
    found = table_of(client, answer)
    assert list(found.columns) == list(wanted.columns)
    assert np.allclose(found.iloc[:, 2:], wanted.iloc[:, 2:], rtol=1e-5)
    assert list(found.timestamp) == list(wanted.timestamp.dt.strftime("%Y-%m-%d"))
    pictures = links(answer, ".svg")
    assert len(pictures) == 1 + 2  # the icon, the fan and the paths of the first series
    for address in pictures:
        sent = client.get(address)
        assert sent.headers["content-type"] == "image/svg+xml"
        assert ElementTree.fromstring(sent.content).tag.endswith("svg")
        assert not re.search(rb"(href|src)=\"http|<script", sent.content)
    other = client.get(f"{answer.url}&part=1")
    assert set(links(other, ".svg")).isdisjoint(pictures[1:])


def test_known_covariates_are_proposed_and_drawn(client, frame):
    frame = frame[frame.item_id == "a"]
    last = frame.timestamp > "2026-02-25"
    whole = frame.assign(target=frame.target.where(~last)).to_csv(index=False).encode()
    page = upload(client, whole)
    assert form_of(page)["known"] == ["3"]
    answer = ask(client, page, "forecast", horizon="4", samples="0")
    assert problem(answer) == "" and len(table_of(client, answer)) == 4
    assert len(links(answer, ".svg")) == 1 + 2  # the icon, the fan, and the covariates


def test_the_known_covariates_of_a_second_table_are_proposed(client, frame):
    last = frame.timestamp > "2026-02-25"
    files = {"table": ("past.csv", frame[~last].to_csv(index=False))}
    future = frame[last].drop(columns="target").to_csv(index=False)
    page = client.post("/tables", files=files | {"future": ("future.csv", future)})
    assert form_of(page)["known"] == ["3"] and "future.csv" in page.text


def test_a_horizon_beyond_the_known_covariates_is_refused(client, frame):
    last = frame.timestamp > "2026-02-25"
    whole = frame.assign(target=frame.target.where(~last)).to_csv(index=False).encode()
    answer = ask(client, upload(client, whole), "forecast", horizon="9", samples="0")
    assert "the known covariates of 4 of 9 time steps are given" in problem(answer)


def test_covariates_without_a_future_are_refused(client, chosen):
    answer = ask(client, chosen, "forecast", horizon="3", samples="0", known=["3"])
    assert "has no rows after the last value of target" in problem(answer)


def test_each_column_of_a_wide_table_is_a_series(client, frame, model):
    wide = frame.pivot(index="timestamp", columns="item_id", values="target").reset_index()
    wide = wide.rename(columns={"b": "$x_{"})  # which is no formula
    page = upload(client, wide.to_csv(index=False).encode())
    assert form_of(page)["layout"] == ["wide"]
    answer = ask(client, page, "forecast", horizon="4", samples="0")
    found = table_of(client, answer)
    assert list(found.item_id.unique()) == ["a", "$x_{"]
    wanted = model.predict_df(wide, 4)
    assert np.allclose(found["0.1"], wanted["0.1"], rtol=1e-5)
    alone = ask(client, page, "forecast", horizon="4", samples="0", target=["1"])
    assert list(table_of(client, alone).item_id.unique()) == ["a"]


def test_a_pasted_table_is_read_and_kept_if_it_cannot_be(client):
    rows = "\r\n".join(f"2026-01-{day:02};{day},5" for day in range(1, 31))
    page = client.post("/tables", data={"pasted": f"day;sales\r\n{rows}"})
    assert "1 series with 30 time steps" in page.text
    answer = client.post("/tables", data={"pasted": "one<column>\r\n1\r\n"})
    assert answer.status_code == 422 and "has one column" in problem(answer)
    assert "one&lt;column&gt;" in answer.text
    assert "Choose a file, or paste" in problem(client.post("/tables", data={"pasted": " "}))


@pytest.mark.parametrize(
    ("action", "changes", "message"),
    [
        ("forecast", {"horizon": "many"}, "The horizon must be a whole number, and is 'many'."),
        ("forecast", {"horizon": "51"}, "must be a whole number that is at least 1 and at most 50"),
        ("forecast", {"samples": "-1"}, "at least 0 and at most 20"),
        ("forecast", {"freq": "fortnight"}, "is not a frequency"),
        ("forecast", {"target": []}, "Choose at least one column of values"),
        ("forecast", {"target": ["99"]}, "load it again"),
        ("forecast", {"time": ""}, ""),  # the column has a usual name
        ("forecast", {"encoding": "nonsense"}, "There is no encoding 'nonsense'"),
        ("impact", {"intervention": ""}, "Give the time of the intervention"),
        ("impact", {"intervention": "2026-02-10"}, "Choose the series that was treated"),
        ("impact", {"intervention": "2027", "treated": ["0"]}, "is after the last value of a"),
        ("impact", {"placebos": "x"}, "false interventions must be a whole number"),
        ("impact", {"id": "3"}, "The column of names has changed"),
    ],
)
def test_what_was_entered_is_kept_when_it_is_wrong(client, content, action, changes, message):
    page = upload(client, content)
    answer = ask(client, page, action, **{"samples": "0", "horizon": "3"} | changes)
    assert message in problem(answer)
    kept = form_of(answer)
    for name, value in changes.items():
        if value not in (["99"], []):
            assert kept[name] == ([value] if isinstance(value, str) else value)


def test_the_impact_is_that_of_the_library(client, frame):
    wide = frame.pivot(index="timestamp", columns="item_id", values="target").reset_index()
    page = upload(client, wide.to_csv(index=False).encode())
    words = {"intervention": "2026-02-15", "method": "ridge", "placebos": "4"}
    answer = ask(client, page, "impact", treated=["1"], controls=["2"], **words)
    wanted = impact(wide, "2026-02-15", "a", "b", method="ridge", placebos=4)
    assert wanted.verdict in answer.text
    found = table_of(client, answer)
    assert np.allclose(found.effect, wanted.to_frame().effect)
    assert len(links(answer, ".svg")) == 2


def test_the_impact_on_a_series_of_a_long_table(client, chosen, frame):
    words = {"intervention": "2026-02-15", "method": "ridge", "placebos": "0"}
    answer = ask(client, chosen, "impact", treated=["0"], controls=["1"], **words)
    assert problem(answer) == ""
    wide = frame.pivot(index="timestamp", columns="item_id", values="target").reset_index()
    wanted = impact(wide, "2026-02-15", "a", "b", method="ridge", placebos=0)
    assert np.allclose(table_of(client, answer).effect, wanted.to_frame().effect)


def test_warnings_are_shown(client):
    rows = "".join(f"2026-01-{day:02},{day},caf\xe9\n" for day in range(1, 31))
    page = upload(client, f"timestamp,target,place\n{rows}".encode("cp1252"))
    assert "is not UTF-8 and was read as cp1252" in page.text
    assert "/tmp" not in page.text


def test_the_example_can_be_tried(client):
    page = client.post("/tables", data={"example": "1"})
    assert "1 series with 420 time steps" in page.text
    fields = form_of(page)
    assert (fields["target"], fields["known"], fields["horizon"]) == (["1"], ["2"], ["28"])


@pytest.mark.parametrize("path", ["/nothing", "/tables/x", "/tables/x/jobs/y/table.csv", "/a/b"])
def test_what_is_not_there_is_a_page_that_says_so(client, path):
    answer = client.get(path)
    assert answer.status_code == 404 and 'name="pasted"' in answer.text


def test_a_result_that_is_not_kept_is_said(client, chosen):
    answer = client.get(f"{chosen.url}?job=unknown&part=x")
    assert "This result is no longer kept" in problem(answer)
    assert client.get(f"{chosen.url}/jobs/unknown/0-0.svg").status_code == 404
