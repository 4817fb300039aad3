"""Metaflow and vl-convert, each in processes of its own."""

import importlib.metadata
import os
import re
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

FLOW = """
from metaflow import FlowSpec, Parameter, step


class ForeachFlow(FlowSpec):
    items = Parameter("items", type=int)

    @step
    def start(self):
        self.numbers = list(range(self.items))
        self.next(self.each, foreach="numbers")

    @step
    def each(self):
        self.next(self.join)

    @step
    def join(self, inputs):
        self.next(self.end)

    @step
    def end(self):
        pass


ForeachFlow()
"""


@pytest.mark.parametrize("items", [0, 101])
def test_metaflow_fails_at_a_foreach_over_nothing_or_over_more_than_100_items(tmp_path, items):
    (tmp_path / "flow.py").write_text(FLOW)
    command = [sys.executable, "flow.py", "--no-pylint", "run", "--items", str(items)]
    environ = {**os.environ, "METAFLOW_USER": "tester"}
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True)
    assert done.returncode != 0
    assert "Step start (task-id 1) failed" in done.stderr + done.stdout


def test_metaflow_asks_for_boto3_of_any_version():
    assert "boto3" in importlib.metadata.requires("metaflow")


CHART = """
import vl_convert

date = {"field": "date", "type": "temporal", "format": "%Y-%m-%d"}
values = {"values": [{"date": "2024-01-31T00:00:00Z"}]}
print(vl_convert.vegalite_to_svg({"data": values, "mark": "text", "encoding": {"text": date}}))
"""


@pytest.mark.parametrize(("zone", "drawn"), [("UTC", "2024-01-31"), ("America/New_York", "2024-01-30")])
def test_vl_convert_draws_dates_in_the_machines_time_zone(zone, drawn):
    environ = {**os.environ, "TZ": zone}
    done = subprocess.run([sys.executable, "-c", CHART], env=environ, capture_output=True, text=True, check=True)
    assert set(re.findall(r"2024-\d\d-\d\d", done.stdout)) == {drawn}
