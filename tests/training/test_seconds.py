"""Each step's line of metrics.jsonl has the seconds since the step before."""

import io
import time

import pytest
from rich.console import Console

from tasd.runs.folder import Run
from tasd.training.log import RunLog
from tasd.training.step import StepMetrics, StepResult


def test_seconds_add_up_to_the_time_of_all_steps(tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    metrics = StepMetrics(1.0, 0.5, {"metric": {"raw": 1.0, "weighted": 1.0}}, None)
    result = StepResult(metrics, 1.0, {}, projection=None, finite=True)
    console = Console(file=io.StringIO())
    with RunLog(Run(tmp_path), 2, done=0, speaks=True, console=console) as log:
        for episode, moment in enumerate((101.5, 109.0), start=1):
            now[0] = moment  # of the clock
            log.step(episode, result, rate=1e-3, wait_share=0.0)
    lines = Run(tmp_path).read_metrics()
    assert [line["seconds"] for line in lines] == pytest.approx([1.5, 7.5])
