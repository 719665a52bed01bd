"""``tests/gpu_step.sh`` on a machine without a GPU: its commands exist, and its table is whole."""

import json
import re
import shlex
import subprocess
from dataclasses import asdict
from pathlib import Path

import pytest
import typer.main

from tasd.bench.evaluate import EvaluateTimes, MatcherTimes
from tasd.bench.memory import MemoryFigures
from tasd.bench.step import BARE, TASD, StepTime, StepTimes
from tasd.cli.app import app
from tests.gpu_report import report, store_side

SCRIPT = Path(__file__).parent / "gpu_step.sh"


def test_bash_reads_the_script():
    assert subprocess.run(["bash", "-n", SCRIPT], capture_output=True, text=True).stderr == ""


def calls() -> list[list[str]]:
    """The words of each call of tasd: "bench step --backbone ..."."""
    text = SCRIPT.read_text().replace("\\\n", " ")
    text = text.replace('"${bench[@]}"', "tasd bench").replace('"$python" -m tasd', "tasd")
    found = re.findall(r"^part \w+ \d+ tasd (.*)$", text, flags=re.MULTILINE)
    small = re.search(r"settings=\((--set.*?)\)", text, flags=re.DOTALL)
    return [*map(shlex.split, found), ["train", *shlex.split(small[1])]]


@pytest.mark.parametrize("call", calls(), ids=" ".join)
def test_every_option_of_the_script_is_one_of_its_command(call):
    command = typer.main.get_command(app)
    words = list(call)
    while words and not words[0].startswith("-"):
        command = command.commands[words.pop(0)]
    known = {name for parameter in command.params for name in parameter.opts}
    known |= {name for parameter in command.params for name in parameter.secondary_opts}
    assert {word for word in words if word.startswith("--")} <= known


def test_all_parts_are_called():
    assert [" ".join(w for w in call[:2] if w[0] != "-") for call in calls()] == [
        "bench step",
        "train",
        "bench step",
        "bench evaluate",
        "train",
    ]


STEP = StepTimes(
    device="cuda:0",
    rounds=7,
    cores=2,
    backbone="resnet50",
    size=224,
    task="5-way 1-shot, 5 queries per class",
    videos=30,
    precision="bf16",
    threads=2,
    ways=(StepTime(BARE, 0.073, 1.0), StepTime(TASD, 0.0765, 1.048)),
    overhead=0.048,
    recorded="the passes of a step are replayed from a CUDA graph",
)
EVALUATE = EvaluateTimes(
    device="cuda:0",
    rounds=1,
    cores=2,
    episodes=2000,
    task="5-way 1-shot, 1 query per class",
    videos=2400,
    channels=2048,
    backbone="resnet50",
    size=224,
    precision="bf16",
    sampled=2,
    per_video=0.002,
    per_episode=0.1,
    cached=5.0,
    recomputed=200.0,
    speed=40.0,
    matchers=(MatcherTimes("bimhm", 2400, 2000, 1e-5, 50_000.0, 0.04, True),),
)


def test_the_table_has_every_part_and_names_what_failed(tmp_path):
    parts = {
        "machine": "NVIDIA H100, 580.1, 81559 MiB",
        "tests": "x\n===== 14 passed in 60.00s =====",
        "step": json.dumps(asdict(STEP)),
        "memory": json.dumps([asdict(MemoryFigures(False, "cuda:0", "bf16", 0, 1 << 30, 9 << 30))]),
        "evaluate": json.dumps(asdict(EVALUATE)),
        "train": "the passes of a step are replayed from a CUDA graph; on the first\n",
    }
    for name, text in parts.items():
        (tmp_path / f"{name}.txt").write_text(text)
    (tmp_path / "parts.txt").write_text("step 9 0\ntrain 90 0\nmemory 7 124\nevaluate 0 left-out\n")
    (tmp_path / "run").mkdir()
    step = {"kind": "train", "seconds": 0.08, "wait_share": 0.004}
    lines = [step, {"kind": "validation"}, {**step, "seconds": 0.09}, {**step, "seconds": 0.081}]
    (tmp_path / "run" / "metrics.jsonl").write_text("\n".join(map(json.dumps, lines)))
    text = "\n".join(report(tmp_path))
    for told in (
        "NVIDIA H100, 580.1, 81559 MiB",
        "tests on the GPU: 14 passed in 60.00s",
        "step 9 s, train 90 s",
        "**memory** did not end well after 7 s: 124",
        "**evaluate** did not end well after 0 s: left-out",
        "| tasd step | 76.5 | 1.048x |",
        "| off | 1.00 | 9.00 |",
        "Extraction: 4,000 frames/s",
        "| bimhm | 50,000 | 0.01 |",
        "Training: 3 episodes with 1 validations, 90 s from call to end; a step took 81 ms",
        "0.4% of the time waiting for the loader",
        "It said: the passes of a step are replayed from a CUDA graph",
    ):
        assert told in text, told


def test_a_store_is_written_at_the_size_that_training_crops_from():
    assert store_side(224) == 256
