"""Requests of other sites are refused."""

import pytest

from lagllama_jax.app.guard import refused

OWN = {"host": "127.0.0.1:8050"}


@pytest.mark.parametrize(
    ("host", "listening", "taken"),
    [
        ("127.0.0.1:8050", "127.0.0.1", True),
        ("localhost:9999", "127.0.0.1", True),  # a tunnel may have another port
        ("LOCALHOST", "127.0.0.1", True),
        ("[::1]:8050", "::1", True),
        ("evil.example:8050", "127.0.0.1", False),
        ("127.0.0.1.evil.example", "127.0.0.1", False),
        ("evil.example", "0.0.0.0", False),
        ("10.0.0.5:8050", "127.0.0.1", False),
        ("10.0.0.5:8050", "0.0.0.0", True),
        ("machine:8050", "machine", True),
        ("[::1", "127.0.0.1", False),
        ("", "127.0.0.1", False),
    ],
)
def test_only_names_of_this_machine_are_answered(host, listening, taken):
    assert (refused("GET", {"host": host}, listening) == "") == taken


@pytest.mark.parametrize(
    ("headers", "taken"),
    [
        ({}, True),
        ({"origin": "http://127.0.0.1:8050"}, True),
        ({"origin": "http://127.0.0.1:8051"}, False),  # another program of this machine
        ({"origin": "http://localhost:8050"}, False),
        ({"origin": "https://evil.example"}, False),
        ({"origin": "null"}, False),
        ({"sec-fetch-site": "same-origin"}, True),
        ({"sec-fetch-site": "cross-site"}, False),
        ({"sec-fetch-site": "same-site"}, False),
    ],
)
def test_forms_of_other_sites_are_not_taken(headers, taken):
    assert (refused("POST", OWN | headers, "127.0.0.1") == "") == taken


def test_the_page_itself_refuses(client):
    assert client.get("/", headers={"host": "evil.example"}).status_code == 403
    answer = client.post(
        "/tables", data={"example": "1"}, headers={"origin": "http://evil.example"}
    )
    assert answer.status_code == 403 and "<" not in answer.text
    assert answer.headers["x-frame-options"] == "DENY"
    assert client.get("/", headers={"origin": "http://evil.example"}).status_code == 200
