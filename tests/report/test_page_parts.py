"""The page has each part that the runs have data for, and a sentence for each that it has not."""

import base64
import hashlib
import json
import re

import pytest

from tasd.errors import UserError
from tasd.report import OverlayOptions, write_report
from tasd.report.outcome import read_outcome
from tasd.report.page_keys import SCRIPT, policy
from tasd.report.pictures import Picture, figures
from tasd.report.sections import FIGURES_ROOM, FRAMES_ROOM, MOST_RUNS, page_sections
from tests.report.written import config_of, write_run


def page(runs, tmp_path, **options):
    write_report(runs, tmp_path / "out", OverlayOptions(**options))
    return (tmp_path / "out" / "report.html").read_text()


def headings(text):
    return re.findall("<h2>(.*?)</h2>", text)


def test_a_tested_run_with_its_features_and_frames_has_every_part(home, tmp_path):
    text = page([home / "runs" / "tested"], tmp_path)
    assert headings(text) == [
        "Results",
        "Accuracy of each class",
        "tested",
        "Figures",
        "Hours and hardware",
        "Provenance of the numbers",
    ]
    assert text.count("<details name=e0") == 24
    assert text.count("<image href='data:image/jpeg") == 30
    assert text.count("<img src='data:image/jpeg") == 24 * 15
    assert len(text) < 10_000_000


def test_two_runs_are_compared(home, tmp_path):
    runs = [home / "runs" / "tested", write_run(tmp_path / "written", config=config_of("baseline"))]
    text = page(runs, tmp_path)
    assert headings(text)[:4] == [
        "Results",
        "Paired comparison",
        "Settings that differ",
        "Accuracy of each class",
    ]
    assert "written was tested on other episodes than tested" in text
    assert "No plot of embeddings and no episodes: the result does not name its features" in text
    assert "data.crop" in text


def test_without_frames_there_are_names(home, tmp_path):
    (home / "stores" / "folder").unlink()
    text = page([home / "runs" / "tested"], tmp_path)
    assert "No frames: the frames are in no store here; name their store with --store." in text
    assert "image/jpeg" not in text
    assert text.count("<details name=e0") == 24
    assert "test class 0/v0" in text


def test_without_the_checkpoint_there_are_still_embeddings(home, tmp_path):
    (home / "runs" / "tested" / "checkpoints" / "best.pt").unlink()
    text = page([home / "runs" / "tested"], tmp_path)
    assert "No episodes: the checkpoint best.pt of the test is no longer in the run." in text
    assert text.count("<image href='data:image/jpeg") == 30


def test_a_store_that_was_named_and_is_none_is_an_error(home, tmp_path):
    with pytest.raises(UserError, match="nowhere"):
        page([home / "runs" / "tested"], tmp_path, store=tmp_path / "nowhere")


def test_the_page_allows_nothing_but_its_own_script(home, tmp_path):
    text = page([home / "runs" / "tested"], tmp_path)
    (script,) = re.findall("<script>(.*?)</script>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy()
    assert policy() in text
    assert script == SCRIPT


HOSTILE = "<img src=x onerror=alert(1)>'\"\x1b[31m\u202e"


def test_hostile_names_are_text_in_every_part(home, tmp_path):
    run = home / "runs" / "tested"
    (path,) = (run / "evaluation").iterdir()
    content = json.loads(path.read_text())
    network = content["networks"][content["chosen"]]
    network["per_class"][HOSTILE] = 0.5
    network["confusion"]["classes"][0] = HOSTILE
    path.write_text(json.dumps(content))
    environment = {"gpus": [HOSTILE], "platform": HOSTILE}
    (run / "environment.json").write_text(json.dumps(environment))
    settings = config_of(matcher__options={HOSTILE: HOSTILE})
    text = page([run, write_run(tmp_path / HOSTILE[:5], config=settings)], tmp_path)
    assert "<img src=x" not in text
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert text.count("&lt;img src=x onerror=alert(1)&gt;&#x27;&quot;\\x1b[31m\\u202e") >= 8


def test_many_runs_stay_below_ten_megabytes(home, tmp_path):
    runs = [write_run(tmp_path / str(n), episodes=24) for n in range(MOST_RUNS + 2)]
    outcomes = [read_outcome(path) for path in [home / "runs" / "tested", *runs]]
    picture = tmp_path / "large.png"
    picture.write_bytes(b"x" * 2_000_000)
    pictures = [Picture(picture, f"large {n}") for n in range(9)]
    parts = page_sections(outcomes, [], pictures)
    assert sum(len(part.html) for part in parts) < 10_000_000 - FRAMES_ROOM
    assert [part.heading for part in parts if part.key.startswith("run")] == [
        outcome.name for outcome in outcomes[:MOST_RUNS]
    ]
    assert any(part.key == "others" for part in parts)


def test_figures_without_room_are_named(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"x" * 3_000)
    text = figures([Picture(path, "one"), Picture(path, "two <")], room=5_000)
    assert text.count("<img") == 1
    assert "two &lt;: see a.png, beside this page." in text
    assert FIGURES_ROOM + FRAMES_ROOM < 8_000_000
