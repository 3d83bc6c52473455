"""Work is done one piece after the other in a process that can be ended."""

import concurrent.futures
import math
import os
import time
import warnings

import pytest

from lagllama_jax.app.jobs import JobQueue
from lagllama_jax.app.result import Result
from lagllama_jax.app.worker import Settings, WorkerProcess
from lagllama_jax.config import checked
from lagllama_jax.errors import ConfigError, DataError
from tests.app.browsing import problem, upload
from tests.app.conftest import LIMITS


@pytest.fixture(scope="module")
def worker():
    worker = WorkerProcess(Settings({}, 2 * 2**30))
    yield worker
    worker.stop()


def test_results_errors_and_warnings_come_back(worker):
    assert worker.call(math.hypot, 3, 4, seconds=30) == (5.0, ())
    assert worker.call(warnings.warn, "look", seconds=30) == (None, ("look",))
    with pytest.raises(ConfigError, match="n='x' must be a whole number"):
        worker.call(checked, "n", "x", int, seconds=30)
    with pytest.raises(DataError, match="ValueError: math domain error|ValueError: expected"):
        worker.call(math.sqrt, -1.0, seconds=30)


def test_what_takes_too_long_is_stopped_and_the_next_call_works(worker):
    begun = time.monotonic()
    with pytest.raises(DataError, match="took more than 0.2 seconds"):
        worker.call(time.sleep, 60, seconds=0.2)
    assert time.monotonic() - begun < 30
    assert worker.call(math.sqrt, 4.0, seconds=30)[0] == 2.0


def test_a_process_that_dies_is_replaced(worker):
    with pytest.raises(DataError, match="The process ended"):
        worker.call(os._exit, 3, seconds=30)
    assert worker.call(math.sqrt, 4.0, seconds=30)[0] == 2.0


def test_memory_is_limited(worker):
    with pytest.raises(DataError, match="too little memory"):
        worker.call(bytearray, 4 * 2**30, seconds=30)


def test_work_can_be_stopped_from_another_thread(worker):
    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        running = thread.submit(worker.call, time.sleep, 60, seconds=60)
        time.sleep(0.5)
        worker.stop()
        with pytest.raises(DataError, match="This was stopped"):
            running.result(timeout=30)


def test_one_job_runs_while_the_others_wait(worker):
    jobs = JobQueue(worker, LIMITS)
    made = ("title", (), b"", "file.csv")
    first = jobs.submit("table", time.sleep, 60)
    second, third = (jobs.submit("table", Result, *made) for _ in range(2))
    with pytest.raises(DataError, match="3 forecasts are waiting"):
        jobs.submit("table", Result, *made)
    assert (jobs.ahead(second), jobs.ahead(third)) == (1, 2)
    assert second.seconds == 0 and not third.done
    jobs.stop(third)
    assert third.outcome() == (None, "This was stopped.")
    jobs.stop(first)
    assert second.future.result(timeout=30) == Result(*made)
    assert first.outcome() == (None, "This was stopped.")
    assert jobs.get("another table", second.identifier) is None
    jobs.drop("table")
    assert jobs.get("table", second.identifier) is None


def test_the_page_answers_while_a_forecast_runs(client, guard, content):
    jobs = guard.app.routes[1].endpoint.__self__.jobs
    busy = jobs.submit("another", time.sleep, 60)
    try:
        begun = time.monotonic()
        assert client.get("/").status_code == 200
        page = upload(client, content)
        assert "2 series" in page.text
        path = str(page.url)
        fields = {"action": "forecast", "horizon": "3", "samples": "0", "layout": "long"}
        fields |= {"id": "0", "time": "1", "target": "2"}
        waiting = client.post(path, data=fields)
        assert "1 forecast is before this one" in waiting.text
        assert 'http-equiv="refresh"' in waiting.text
        assert time.monotonic() - begun < 30
        stop = f"{path}/jobs/{waiting.url.params['job']}/stop"
        assert problem(client.post(stop)) == "This was stopped."
    finally:
        jobs.stop(busy)
