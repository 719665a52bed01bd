"""Runs in TensorBoard, W&B and MLflow, read back by the readers of each."""

import contextlib
import json
import re
import socket
import struct
from pathlib import Path

import numpy as np
import pytest

import tasd.runs.tracking
from tasd.errors import UserError
from tasd.runs.folder import Run
from tasd.runs.tracker import Table, flat, markdown, reason
from tasd.runs.tracking import FILE, TRACKERS, Kind, Tracking, read_tracked, trackers_called
from tasd.store import Store
from tasd.training.loop import train
from tests.runs import quiet, small_config

CONFIG = {"training": {"episodes": 3, "seed": 0}, "recipe": "tasd"}
ACCURACY = Table(("network", "accuracy"), (("student", 0.5), ("plain | backbone", None)))
PICTURE = np.arange(8 * 24 * 3, dtype=np.uint8).reshape(8, 24, 3)
third_party = pytest.mark.filterwarnings("ignore")  # warnings of those packages about themselves


class Spy:
    """A tracker that remembers what it was told, and fails where it is told to."""

    place = "spy: here"

    def __init__(self, start, *, fails=""):
        self.start, self.fails, self.told = start, fails, []
        self.identity = {"id": start.known.get("id", f"run of {start.name}")}
        self._tell("open", start.episode)

    def _tell(self, what, *details):
        self.told.append((what, *details))
        if self.fails == what:
            raise RuntimeError(f"no answer from http://me:secret@host/{what}\nat line 3\n")

    def numbers(self, values, *, episode):
        self._tell("numbers", values, episode)

    def picture(self, name, image, *, episode):
        assert image.dtype == np.uint8
        self._tell("picture", name, episode)

    def config(self, values):
        self._tell("config", values)

    def table(self, name, table):
        self._tell("table", name, table)

    def finish(self, end):
        self._tell("finish", end)


@pytest.fixture
def spies(monkeypatch):
    """A tracker "spy" that works and one "bad" that fails where ``spies.fails`` says."""

    class Spies(list):
        fails = ""

    opened = Spies()

    def opener(good):
        def begin(start):
            spy = Spy(start, fails="" if good else opened.fails)
            opened.append(spy)
            return spy

        return begin

    for name in ("spy", "bad"):
        kind = Kind(opener(name == "spy"), "json", 0, "pip install it")
        monkeypatch.setitem(TRACKERS, name, kind)
    return opened


def fill(folder: Path, *names: str, say=print) -> None:
    """Track a run of three episodes, and resume it for a fourth."""
    folder.mkdir(exist_ok=True)
    tracking = Tracking(folder, names, say=say)
    tracking.config(CONFIG)
    for episode in (1, 2, 3):
        tracking.numbers({"train/loss": 1 / episode, "train/terms/at": 0.5}, episode=episode)
    tracking.picture("attention/student", PICTURE, episode=3)
    tracking.finish("stopped")
    tracking = Tracking(folder, say=say, episode=3)
    tracking.config(CONFIG)
    tracking.numbers({"train/loss": 0.25}, episode=4)
    tracking.finish("finished")


def add(folder: Path, say=print) -> None:
    """Add a result to a run that ended."""
    tracking = Tracking(folder, say=say, adds=True)
    tracking.numbers({"evaluation/test-2w/student": 0.5}, episode=4)
    tracking.table("evaluation/test-2w", ACCURACY)
    tracking.picture("evaluation/test-2w/confusion", PICTURE, episode=4)
    tracking.finish("finished")


def test_names_are_read_and_wrong_ones_told_before_the_start(monkeypatch):
    assert trackers_called("tensorboard, tensorboard") == ("tensorboard",)
    assert trackers_called("none") == ()
    with pytest.raises(UserError, match=r"no tracker of --log is called 'wandbb'.*did you mean"):
        trackers_called("tensorboard,wandbb")
    with pytest.raises(UserError, match="'none' stands alone"):
        trackers_called("none,tensorboard")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"wandb is not installed; pip install -c constraints"):
        trackers_called("wandb")
    with pytest.raises(UserError, match=r"'mlflow>=3', without -c constraints\.txt"):
        trackers_called("mlflow")


def test_an_mlflow_that_pip_fell_back_to_is_refused(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    monkeypatch.setattr(tasd.runs.tracking, "version", lambda name: "1.27.0")
    with pytest.raises(UserError, match=r"mlflow 1\.27\.0 is installed, and this needs 3 or newer"):
        trackers_called("mlflow")


@pytest.mark.parametrize("moment", ["open", "config", "numbers", "picture", "table", "finish"])
def test_a_tracker_that_fails_costs_one_line_and_no_other_tracker(tmp_path, spies, moment):
    spies.fails, said = moment, []
    tracking = Tracking(tmp_path, ["bad", "spy"], say=said.append)
    tracking.config(CONFIG)
    for episode in (1, 2):
        tracking.numbers({"loss": 1.0}, episode=episode)
        tracking.picture("picture", PICTURE, episode=episode)
        tracking.table("table", ACCURACY)
    tracking.finish("finished")
    lost = [line for line in said if line.startswith("--log")]
    assert lost == [
        f"--log bad: no answer from http://host/{moment} at line 3; training goes on without it"
    ]
    words = [told[0] for told in spies[-1].told]
    assert words == ["open", "config", *["numbers", "picture", "table"] * 2, "finish"]


def test_training_goes_on_without_a_tracker_and_resume_with_the_same_run(
    small_store, tmp_path, spies
):
    spies.fails = "numbers"
    folder, store = tmp_path / "run", Store(small_store)
    config = small_config(recipe="baseline", episodes=2)
    with quiet() as console:
        done = train(
            config, store, run=Run(folder), device="cpu", trackers=["bad", "spy"], console=console
        )
    assert done.exit_code == 0
    assert console.file.getvalue().count("training goes on without it") == 1
    assert not (folder / "tensorboard").exists()
    (spy,) = [one for one in spies if one.told[-1][0] == "finish"]
    words = [told[0] for told in spy.told]
    assert words[:2] == ["open", "config"]
    assert spy.told[1][1]["training"]["episodes"] == 2
    assert ("picture", "attention/student", 2) in spy.told
    assert spy.told[-1] == ("finish", "finished")
    written = [line["loss"] for line in Run(folder).read_metrics() if line["kind"] == "train"]
    numbers = [told[1] for told in spy.told if told[0] == "numbers"]
    told = [values["train/loss"] for values in numbers if "train/loss" in values]
    assert told == written

    spies.fails = ""
    with quiet() as console:
        train(config, store, run=Run(folder), resume=Run(folder).last, console=console)
    assert [one.start.known for one in spies[-2:]] == [{"id": "run of run"}] * 2
    assert spies[-1].start.episode == 2


def test_a_resumed_run_keeps_its_trackers_and_may_change_them(tmp_path, spies):
    fill(tmp_path / "run", "spy")
    Tracking(tmp_path / "run", ()).finish("finished")
    assert read_tracked(tmp_path / "run").names == ()
    Tracking(tmp_path / "run", ["spy"]).finish("finished")
    assert {spy.identity["id"] for spy in spies} == {"run of run"}


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"format": "tasd-tracking", "version": 1, "log": ["x"], "known": {}}']
)
def test_a_damaged_file_of_trackers_is_told_and_ends_nothing(tmp_path, text):
    (tmp_path / FILE).write_text(text)
    said = []
    Tracking(tmp_path, say=said.append).finish("finished")
    (line,) = said
    assert FILE in line
    assert "\n" not in line
    assert read_tracked(tmp_path).names == ("tensorboard",)


def test_a_file_that_cannot_be_written_ends_nothing(tmp_path, spies):
    (tmp_path / FILE).mkdir()
    said = []
    Tracking(tmp_path, ["spy"], say=said.append).finish("finished")
    assert spies[-1].told[-1] == ("finish", "finished")
    assert all("\n" not in line for line in said)


def test_reasons_carry_no_password_and_stay_short():
    assert reason(OSError("cannot reach https://me:secret@host:80/a@b")) == (
        "cannot reach https://host:80/a@b"
    )
    assert len(reason(OSError("x" * 10_000))) < 250
    assert reason(KeyError()) == "KeyError"


def test_trees_and_tables_are_written_plainly():
    assert flat({"a": {"b": 1, "c": {}}, "d": [2]}) == {"a.b": 1, "a.c": {}, "d": [2]}
    assert markdown(ACCURACY).splitlines() == [
        "| network | accuracy |",
        "| --- | --- |",
        "| student | 0.5000 |",
        r"| plain \| backbone |  |",
    ]


def test_tensorboard_reads_back_a_run(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    fill(tmp_path / "run", "tensorboard")
    add(tmp_path / "run")
    board = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    board.Reload()
    loss = [(event.step, round(event.value, 3)) for event in board.Scalars("train/loss")]
    assert loss == [(1, 1.0), (2, 0.5), (4, 0.25)]  # steps that resume repeats are hidden
    assert {"attention/student", "evaluation/test-2w/confusion"} <= set(board.Tags()["images"])
    texts = {
        tag: board.Tensors(tag)[0].tensor_proto.string_val[0] for tag in board.Tags()["tensors"]
    }
    assert b'"episodes": 3' in texts["config/text_summary"]
    assert b"| student | 0.5000 |" in texts["evaluation/test-2w/text_summary"]


@pytest.fixture
def alone(tmp_path, monkeypatch):
    """No settings, logins or files of the person who runs the tests."""
    import os

    for name in [name for name in os.environ if name.startswith(("WANDB_", "MLFLOW_"))]:
        monkeypatch.delenv(name)
    for name in ("HOME", "TASD_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    monkeypatch.delenv("NETRC", raising=False)


@pytest.fixture
def wandb(alone):
    module = pytest.importorskip("wandb", reason="the package wandb is not installed")
    yield module
    module.teardown()


def records(path: Path):
    """The records of a .wandb file, in W&B's own protobuf; the file is a LevelDB log."""
    from wandb.proto.wandb_internal_pb2 import Record

    content, place, parts = path.read_bytes(), 7, []
    assert content[:4] == b":W&B"
    while place < len(content):
        if 32768 - place % 32768 < 7:  # no header fits: the rest of the block is empty
            place += 32768 - place % 32768
            continue
        _, size, kind = struct.unpack("<IHB", content[place : place + 7])
        parts.append(content[place + 7 : place + 7 + size])
        place += 7 + size
        if kind in (1, 4):  # whole, or the last part
            record = Record()
            record.ParseFromString(b"".join(parts))
            yield record
            parts = []


def history(found):
    """The rows that were logged, as dicts."""
    rows = [record.history for record in found if record.WhichOneof("record_type") == "history"]
    return [
        {item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in row.item}
        for row in rows
    ]


@third_party
@pytest.mark.parametrize("mode", ["offline", None])
def test_wandb_offline_reads_back_a_run(wandb, tmp_path, monkeypatch, mode):
    """Without a login it is kept offline, too."""
    if mode:
        monkeypatch.setenv("WANDB_MODE", mode)
    said = []
    fill(tmp_path / "run", "wandb", say=said.append)
    add(tmp_path / "run", say=said.append)
    wandb.teardown()  # as at the end of a process: what its service still writes is written
    assert not [line for line in said if line.startswith("--log")], said
    assert ("no login" in said[0]) == (mode is None)
    assert re.search(r"wandb sync \S+offline-run-\S+ sends it", said[0])
    folders = sorted((tmp_path / "run" / "wandb").glob("offline-run-*"))
    found = [list(records(file)) for folder in folders for file in folder.glob("*.wandb")]
    runs = [r.run for one in found for r in one if r.WhichOneof("record_type") == "run"]
    known = read_tracked(tmp_path / "run").known["wandb"]
    assert {run.run_id for run in runs} == {known["id"]}
    assert {run.display_name for run in runs} == {"run"}
    settings = {
        item.key: json.loads(item.value_json)
        for one in found
        for record in one
        for item in (*record.config.update, *record.run.config.update)
    }
    assert settings["training"] == CONFIG["training"]
    rows = [row for one in found for row in history(one)]
    loss = [(row["episode"], row["train/loss"]) for row in rows if "train/loss" in row]
    assert loss == [(1, 1.0), (2, 0.5), (3, pytest.approx(1 / 3)), (4, 0.25)]
    (picture,) = [row for row in rows if "attention/student.path" in row]
    assert [picture[f"attention/student.{side}"] for side in ("width", "height")] == [24, 8]
    (table,) = [row for row in rows if "evaluation/test-2w.path" in row]
    path = table["evaluation/test-2w.path"]
    (file,) = (folder / "files" / path for folder in folders if (folder / "files" / path).exists())
    content = json.loads(file.read_text())
    assert content["columns"] == list(ACCURACY.columns)
    assert content["data"] == [list(row) for row in ACCURACY.rows]


@third_party
def test_wandb_that_is_switched_off_is_said_and_keeps_no_name(wandb, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    said = []
    fill(tmp_path / "run", "wandb", say=said.append)
    assert set(said) == {"W&B: switched off by WANDB_MODE=disabled"}
    assert read_tracked(tmp_path / "run").known["wandb"] == {}


@third_party
def test_a_login_that_fails_keeps_the_run_offline(wandb, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "tooshort")
    said = []
    fill(tmp_path / "run", "wandb", say=said.append)
    assert all("W&B: kept offline (" in line and "tooshort" not in line for line in said)
    assert len(list((tmp_path / "run" / "wandb").glob("offline-run-*"))) == 2


@pytest.fixture
def mlflow(alone, monkeypatch):
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    for name in ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "MLFLOW_HTTP_REQUEST_TIMEOUT"):
        monkeypatch.setenv(name, "1")
    module = pytest.importorskip("mlflow", minversion="3", reason="mlflow 3 is not installed")
    yield module
    module.set_tracking_uri(None)


@third_party
def test_mlflows_local_store_reads_back_a_run(mlflow, tmp_path):
    said = []
    fill(tmp_path / "run", "mlflow", say=said.append)
    address = f"sqlite:///{tmp_path / 'home' / 'mlflow.db'}"
    client = mlflow.MlflowClient(tracking_uri=address)
    add(tmp_path / "run", say=said.append)
    assert set(said) == {f"MLflow: mlflow ui --backend-store-uri {address}"}
    experiment = client.get_experiment_by_name("tasd")
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.run_id == read_tracked(tmp_path / "run").known["mlflow"]["run_id"]
    assert (run.info.run_name, run.info.status) == ("run", "FINISHED")
    assert run.data.params == {
        "training.episodes": "3",
        "training.seed": "0",
        "recipe": "tasd",
    }
    loss = [(m.step, m.value) for m in client.get_metric_history(run.info.run_id, "train/loss")]
    assert sorted(loss) == [(1, 1.0), (2, 0.5), (3, pytest.approx(1 / 3)), (4, 0.25)]
    assert run.data.metrics["evaluation/test-2w/student"] == 0.5
    mlflow.set_tracking_uri(address)  # its reader of tables asks the one of the process
    table = client.load_table(
        experiment.experiment_id, "evaluation/test-2w.json", run_ids=[run.info.run_id]
    )
    assert list(table["network"]) == ["student", "plain | backbone"]
    assert table["accuracy"][0] == 0.5
    pictures = [file.path for file in client.list_artifacts(run.info.run_id, "images")]
    assert [path for path in pictures if "attention" in path]
    assert [path for path in pictures if "confusion" in path]


@third_party
def test_a_server_that_is_away_costs_one_line_without_its_password(mlflow, tmp_path, monkeypatch):
    with contextlib.closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:secret@127.0.0.1:{port}")
    said = []
    tracking = Tracking(tmp_path, ["mlflow"], say=said.append)
    tracking.numbers({"loss": 1.0}, episode=1)
    tracking.finish("finished")
    (line,) = said
    assert line.endswith("; training goes on without it")
    assert "secret" not in line + (tmp_path / FILE).read_text()
    assert "\n" not in line
