"""The page in a real browser."""

import csv
import os
import re
import shutil
import signal
import subprocess
import sys

import pytest

from tests.app.conftest import HURRY

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


@pytest.fixture(scope="module")
def browser():
    """A headless Chromium, which finds no other machine than this one."""
    place = next(filter(None, map(shutil.which, BROWSERS)), None)
    if place is None:
        pytest.skip("there is no Chromium (Debian: apt-get install chromium)")
    playwright = pytest.importorskip("playwright.sync_api", reason="there is no playwright")
    alone = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
    with playwright.sync_playwright() as driver:
        options = ["--no-sandbox", alone]
        browser = driver.chromium.launch(executable_path=place, args=options)
        yield browser
        browser.close()


@pytest.fixture
def address(model_folder, tmp_path_factory):
    """The address of the page, as the command line serves it until it is interrupted."""
    folder = tmp_path_factory.mktemp("temporary")
    command = [sys.executable, "-m", "lagllama_jax.cli.main", "--no-cache", "app", "--port", "0"]
    process = subprocess.Popen(
        [*command, "--model", str(model_folder), "--max-samples", "20"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | HURRY | {"TMPDIR": str(folder)},
    )
    try:
        line = process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+/", line)
        assert found, line + process.stdout.read()
        yield found[0]
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 0, process.stdout.read()
        assert list(folder.iterdir()) == []
    finally:
        process.kill()
        process.communicate()


def test_a_file_is_forecast_and_downloaded_and_no_request_leaves_the_machine(
    browser, address, tmp_path, content
):
    (tmp_path / "data.csv").write_bytes(content)
    context = browser.new_context(viewport={"width": 400, "height": 800})
    requests, complaints = [], []
    context.on("request", lambda request: requests.append(request.url))
    context.on("console", lambda message: complaints.append(message.text))
    page = context.new_page()
    page.goto(address)
    page.get_by_label("File").set_input_files(tmp_path / "data.csv")
    page.get_by_role("button", name="Read the table").click()
    page.get_by_text("2 series with 60 time steps").wait_for()
    page.get_by_label("Time steps", exact=True).fill("0")
    page.get_by_role("button", name="Forecast", exact=True).click()
    page.get_by_text("at least 1 and at most").wait_for()
    assert page.get_by_label("Time steps", exact=True).input_value() == "0"
    page.get_by_label("Time steps", exact=True).fill("6")
    page.get_by_label("Sample paths", exact=True).fill("0")
    with page.expect_navigation():
        page.keyboard.press("Enter")  # which does as the button that comes first
    page.get_by_role("button", name="Forecast", exact=True).click()
    chart = page.get_by_role("img", name="The median of a is")
    chart.wait_for(timeout=90_000)
    drawn = "image => image.complete && image.naturalWidth > 300"
    page.wait_for_function(f"() => ({drawn})(document.querySelector('.picture img'))")
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    with page.expect_download() as download:
        page.get_by_role("link", name="Download CSV").click()
    with open(download.value.path(), newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * 6 and rows[0]["timestamp"] == "2026-03-02"
    context.close()
    assert len(requests) > 8
    assert [url for url in requests if not url.startswith(address)] == []
    assert [text for text in complaints if "422" not in text] == []
