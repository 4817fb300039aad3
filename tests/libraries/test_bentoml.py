"""BentoML."""

import os
import subprocess
import sys
import warnings

import pytest
from pydantic import BaseModel

with warnings.catch_warnings():  # importing BentoML and Starlette's test client warns about what is old in them
    warnings.simplefilter("ignore")
    import bentoml
    from starlette.testclient import TestClient

JSON = {"content-type": "application/json"}


class Record(BaseModel):
    n: float


@pytest.fixture(scope="module")
def http():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")

        @bentoml.service(name="guesses", metrics={"enabled": False})
        class Guesses:
            @bentoml.api
            async def double(self, record: Record, /) -> float:
                return record.n * 2

        app = Guesses.to_asgi()
    with TestClient(app) as client:
        yield client


def test_bentoml_takes_any_content_type_for_json(http):
    assert http.post("/double", content=b'{"n": 1}', headers={"content-type": "text/plain"}).json() == 2


def test_bentoml_takes_text_for_a_number(http):
    assert http.post("/double", content=b'{"n": "1"}', headers=JSON).json() == 2


def test_bentoml_takes_and_gives_nan_which_is_no_json(http):
    answer = http.post("/double", content=b'{"n": NaN}', headers=JSON)
    assert (answer.status_code, answer.text) == (200, "NaN")


DO_NOT_TRACK = "from bentoml._internal.utils.analytics.usage_stats import do_not_track; print(do_not_track())"


@pytest.mark.slow
@pytest.mark.parametrize(("value", "is_off"), [("1", "False"), ("True", "True")])
def test_bentoml_sends_usage_data_unless_the_variable_says_true(value, is_off):
    environ = {**os.environ, "BENTOML_DO_NOT_TRACK": value}
    command = [sys.executable, "-W", "ignore", "-c", DO_NOT_TRACK]
    done = subprocess.run(command, env=environ, capture_output=True, text=True)
    assert done.stdout.strip() == is_off, done.stderr
