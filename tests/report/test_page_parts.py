"""The page has each part that the runs have data for, and a sentence for each that it has not."""

import base64
import hashlib
import json
import re

import numpy as np
import pytest

from tasd.errors import UserError
from tasd.evaluation.results import write_document
from tasd.report import OverlayOptions, write_report
from tasd.report.class_bars import class_bars
from tasd.report.confusion_chart import confusion_chart
from tasd.report.confusions import MOST_CLASSES, Confusions
from tasd.report.embedding import Embedding
from tasd.report.embedding_chart import embedding_chart
from tasd.report.frames import Thumbnails
from tasd.report.outcome import read_outcome
from tasd.report.page_keys import SCRIPT, policy
from tasd.report.pictures import Picture, figures
from tasd.report.sections import FRAMES_ROOM, LIMIT, MOST_POINTS, MOST_RUNS, page_sections
from tests.report.written import config_of, write_run

pytestmark = pytest.mark.usefixtures("coarse_figures")


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
    assert text.count("<svg class=strip") == 24 * 15
    strips = re.findall("<image id=(e0v[0-9]+) href='(data:image/jpeg[^']*)'", text)
    assert len({address for _, address in strips}) == len(strips) == 30  # each video once
    assert {name for name, _ in strips} == set(re.findall("<use href='#(e0v[0-9]+)'", text))
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
    assert not (tmp_path / "out").exists()


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
    write_document(path, content)
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
    size = sum(len(part.html.encode()) for part in parts)
    assert LIMIT - 3_000_000 < size < LIMIT + 10_000
    assert [part.heading for part in parts if part.key.startswith("run")] == [
        outcome.name for outcome in outcomes[:MOST_RUNS]
    ]
    assert any(part.key == "others" for part in parts)


def test_the_largest_parts_leave_room(tmp_path):
    """As many runs, classes and videos with long names as one page shows."""
    names = tuple(f"{'long name ' * 12}{n}" for n in range(MOST_CLASSES))
    counts = np.full((len(names), len(names)), 999)
    matrix = confusion_chart(Confusions(names, counts, counts), name=names[0])
    count = MOST_POINTS // MOST_RUNS // 2
    label = np.arange(count) % len(names)
    videos = tuple(f"{names[own]}/{'v' * 200}{n}" for n, own in enumerate(label))
    places = np.random.default_rng(0).random((count, 2))
    plane = Embedding("PCA", "", videos, names, label, places, count)
    plot = embedding_chart(plane, Thumbnails(None, room=0), name=names[0], key="p0")
    assert MOST_RUNS * (len(matrix) + 2 * len(plot)) + FRAMES_ROOM < LIMIT


def test_of_many_classes_the_hardest_have_bars(tmp_path):
    outcome = read_outcome(write_run(tmp_path / "run"))
    per_class = outcome.chosen["per_class"]
    per_class.update({f"class {n}": 0.3 + n / 1000 for n in range(200)})
    text = class_bars([outcome])
    assert "The 100 hardest of 224 classes; per_class.png has all." in text
    assert text.count("<rect") == 100
    hardest = sorted(per_class.values())[:100]
    drawn = [float(part) for part in re.findall(r"class=number[^>]*>([\d.]+)<", text)]
    assert drawn == [round(100 * value, 1) for value in hardest]


def test_figures_without_room_are_named(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"x" * 3_000)
    text = figures([Picture(path, "one"), Picture(path, "two <")], room=5_000)
    assert text.count("<img") == 1
    assert "two &lt;: see a.png, beside this page." in text
