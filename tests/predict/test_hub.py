"""An export is pushed to a hub and fetched from it; the hub is a local HTTP server."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from tasd.errors import UserError
from tasd.predict import FewShotRecognizer
from tasd.predict.card import CARD
from tasd.predict.export import CONFIG, WEIGHTS
from tests.cli.test_predict import run_tasd
from tests.predict.hub_server import TOKEN, serving

huggingface_hub = pytest.importorskip(
    "huggingface_hub", reason="the package huggingface_hub is not installed"
)
# Of httpx, about a call of huggingface_hub.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=")


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub and a login, with a cache of its own; large files go by HTTP, as LFS has it."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with serving() as served:
        monkeypatch.setenv("HF_ENDPOINT", served.address)
        yield served


@pytest.fixture(scope="module")
def exported(trained_once, tmp_path_factory):
    out = tmp_path_factory.mktemp("exported") / "export"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TASD_HOME", str(trained_once))
        run_tasd("export", trained_once / "runs" / "tiny", "--out", out, "--no-reject")
    return out


@pytest.fixture
def export(exported, tmp_path):
    """A copy for one test."""
    return shutil.copytree(exported, tmp_path / "export")


def test_a_pushed_export_labels_clips_as_its_run_does(home, hub, support, clips, tmp_path):
    out = tmp_path / "export"
    run = home / "runs" / "tiny"
    (run / "secret.txt").touch()
    said = run_tasd(
        "export", run, "--out", out, "--no-reject", "--push", "me/tiny", "--private",
        "--license", "mit",
    )  # fmt: skip
    assert said.stdout.splitlines()[-1] == f"pushed: {hub.address}/me/tiny"
    assert TOKEN not in said.output
    assert hub.private == {"me/tiny": True}
    files = hub.files("me/tiny")
    assert set(files) == {WEIGHTS, CONFIG, CARD}
    assert files[WEIGHTS] == (out / WEIGHTS).read_bytes()
    assert b'license: "mit"' in files[CARD]
    assert b'from_pretrained("me/tiny")' in files[CARD]

    queries = sorted(clips.iterdir())
    expected = FewShotRecognizer.from_run(run).fit(support).decision_function(queries)
    for source in ("me/tiny", out):
        fetched = FewShotRecognizer.from_pretrained(source, device="cpu").fit(support)
        np.testing.assert_array_equal(fetched.decision_function(queries), expected)


def test_a_commit_always_gives_the_same_network(hub, export):
    run_tasd("export", export, "--push", "me/tiny")
    first = hub.head("me/tiny")
    content = json.loads((export / CONFIG).read_text())
    (export / CONFIG).write_text(json.dumps(content | {"version": 99}))
    run_tasd("export", export, "--push", "me/tiny")
    assert hub.head("me/tiny") != first
    _ = FewShotRecognizer.from_pretrained("me/tiny", revision=first).network_
    with pytest.raises(UserError, match="version 99"):
        _ = FewShotRecognizer.from_pretrained("me/tiny").network_


def test_only_files_of_an_export_are_pushed(hub, export):
    (export / "passwords.txt").write_text("secret")
    (export / "folder").mkdir()
    (export / "folder" / CONFIG).write_text("{}")
    run_tasd("export", export, "--push", "me/tiny")
    assert set(hub.files("me/tiny")) == {WEIGHTS, CONFIG, CARD}


def told(what, *arguments, **options):
    with pytest.raises(UserError) as caught:
        what(*map(str, arguments), **options)
    line = str(caught.value)
    assert "\n" not in line
    assert TOKEN not in line
    return line


@pytest.mark.parametrize(
    ("status", "way_out"),
    [
        (403, "take a token that may write there"),
        (400, "check the network"),
        (401, "hf auth login"),
    ],
)
def test_a_refusal_is_one_line_with_a_way_out_and_no_token(hub, export, status, way_out):
    hub.refuses = status
    line = told(run_tasd, "export", export, "--push", "me/tiny")
    assert line.startswith(f"cannot push {export} to me/tiny (")
    assert way_out in line
    assert line.endswith(f"then tasd export {export} --push me/tiny")
    line = told(FewShotRecognizer.from_pretrained, "me/tiny")
    assert line.startswith("cannot fetch me/tiny (")


def test_a_wrong_name_is_told_before_anything_is_sent(hub, home, export):
    for name in ("a/b/c", "a b", "", "https://host/a", "../a/b"):
        assert "NAME/MODEL" in told(run_tasd, "export", export, "--push", name)
        assert "NAME/MODEL" in told(FewShotRecognizer.from_pretrained, name)
    assert not hub.asked
    assert "cannot fetch me/none" in told(FewShotRecognizer.from_pretrained, "me/none")
    line = told(FewShotRecognizer.from_pretrained, export, revision="main")
    assert "is of a repository" in line


def test_weights_of_something_else_are_not_fetched(hub, export):
    run_tasd("export", export, "--push", "me/tiny")
    (export / CONFIG).write_text('{"model_type": "bert"}')
    hub.repos["me/other"] = {"0" * 40: {CONFIG: b'{"model_type": "bert"}', WEIGHTS: b"much"}}
    line = told(FewShotRecognizer.from_pretrained, "me/other")
    assert "me/other is no export of tasd" in line
    assert not [path for _, path in hub.asked if "me/other" in path and WEIGHTS in path]


def test_a_hub_that_is_away_is_one_line_and_the_cache_still_answers(export, hub, monkeypatch):
    run_tasd("export", export, "--push", "me/known")
    _ = FewShotRecognizer.from_pretrained("me/known").network_
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert "check the network, or HF_ENDPOINT" in told(
        run_tasd, "export", export, "--push", "me/tiny"
    )
    assert "cannot fetch me/tiny (127.0.0.1: Connection refused)" in told(
        FewShotRecognizer.from_pretrained, "me/tiny"
    )
    _ = FewShotRecognizer.from_pretrained("me/known").network_


def test_options_that_exclude_one_another_are_told(export):
    assert "--private is an option for --push" in told(run_tasd, "export", export, "--private")
    assert "is an export already" in told(run_tasd, "export", export)
    line = told(run_tasd, "export", export, "--push", "me/tiny", "--out", export)
    assert "--out has no effect" in line


@pytest.mark.long
def test_the_command_itself_pushes_to_the_hub_of_the_environment(hub, export):
    words = [sys.executable, "-m", "tasd", "export", str(export), "--push", "me/tiny"]
    environment = {**os.environ, "HF_ENDPOINT": hub.address, "HF_TOKEN": "hf_wrongTokenOfTests"}
    done = subprocess.run(words, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("tasd: cannot push")
    assert "wrongToken" not in done.stdout + done.stderr
    done = subprocess.run(words, env=environment | {"HF_TOKEN": TOKEN}, capture_output=True)
    assert done.returncode == 0
    assert set(hub.files("me/tiny")) == {WEIGHTS, CONFIG, CARD}
