"""A run has one writer, and its checkpoints agree, whole, and are held against their digests."""

import json
import os
import random
import re
import shutil
from pathlib import Path

import pytest
import torch

import tasd.runs.checkpoint
from tasd.errors import UserError
from tasd.files import as_json, replacing
from tasd.runs import lock
from tasd.runs.checkpoint import load
from tasd.runs.folder import Run
from tasd.runs.lock import RunLock
from tasd.runs.tensorfile import file_bytes, read_header
from tests import forks
from tests.checkpoints import flip, rewrite
from tests.runs import assert_equal_bits, command, environment, lines, small_config, small_run


@pytest.fixture(scope="module")
def whole(small_store, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "run"
    return small_run(small_store, folder, small_config()).run


@pytest.fixture(scope="module")
def larger(small_store, tmp_path_factory):
    """A run whose checkpoints have 25 MB, to which headers and rounded figures add little."""
    folder = tmp_path_factory.mktemp("larger") / "run"
    return small_run(small_store, folder, small_config(("network.backbone", "resnet8"))).run


@pytest.fixture
def run(whole, tmp_path):
    shutil.copytree(whole.path, tmp_path / "run")
    return Run(tmp_path / "run")


def test_the_best_holds_both_networks_and_little_else(larger):
    best, last = load(larger.best), load(larger.last)
    weights = sum(t.numel() * t.element_size() for t in best.tensors().values())
    assert larger.best.stat().st_size < 1.1 * weights
    assert best.optimiser is None
    assert last.optimiser is not None
    for name, value in best.tensors().items():
        assert "projection." not in name
        assert "relation." not in name
        if last.progress.best.episode == last.progress.episode:
            assert torch.equal(value, last.tensors()[name])


def test_the_size_of_a_file_does_not_depend_on_the_digits_of_an_accuracy():
    sizes = {file_bytes({}, {"best": best}) for best in (0.5, 1 / 3, 0.7066666666666667)}
    assert len(sizes) == 1


def test_the_sizes_that_are_told_before_the_first_step_are_those_on_the_disk(larger):
    told = " ".join((larger.path.parent / "log.txt").read_text().split())
    pattern = (
        r"checkpoints: last.pt of about (.*) MiB, best.pt (.*) MiB; at most (.*) MiB with those "
        r"before them, (.*) MiB are free"
    )
    last, best, most, free = (
        float(number.replace(",", "")) for number in re.findall(pattern, told)[0]
    )
    assert larger.last.stat().st_size / 2**20 == pytest.approx(last, abs=0.6)
    assert larger.best.stat().st_size / 2**20 == pytest.approx(best, abs=0.6)
    written = sum(path.stat().st_size for path in larger.checkpoints.iterdir()) / 2**20
    assert written <= most == pytest.approx(3 * last + 2 * best, abs=3)
    assert free == pytest.approx(shutil.disk_usage(larger.path).free / 2**20, rel=0.5)


@pytest.mark.parametrize("name", ["last.pt", "best.pt"])
def test_a_flipped_bit_is_found(run, name):
    path = run.checkpoints / name
    draw = random.Random(0)
    for _ in range(20):
        bit = draw.randrange(8 * path.stat().st_size)
        flip(path, bit=bit)
        with pytest.raises(UserError, match=f"{name} "):
            load(path)
        flip(path, bit=bit)
    load(path)


def test_the_tensor_whose_bytes_differ_is_named(run):
    flip(run.last, bit=8 * (run.last.stat().st_size - 9))  # the sum of the last but one
    with run.last.open("rb") as file:
        *_, damaged, _, _ = read_header(file).entries
    with pytest.raises(UserError, match=f"the digest of {damaged} differs"):
        load(run.last)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda a: a["config"]["network"].update(depth=100_000), "network.depth is 100,000"),
        (lambda a: a["config"]["data"].update(frames=10**9), "data.frames is 1,000,000,000"),
        (lambda a: a["classes"].extend(["c"] * 200_000), "the number of its classes"),
        (lambda a: a["config"]["network"].update(feedforward=10**9), "its config says"),
        (lambda a: a["config"]["network"].update(depth=0), "that is not known"),
        (lambda a: a["config"]["network"].update(depth=2), "is missing"),
        (lambda a: a.update(format=9), "has checkpoint format 9"),
        (lambda a: a.pop("progress"), "damaged or not a checkpoint"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(run, change, told):
    rewrite(run.last, change)
    with pytest.raises(UserError, match=told):
        load(run.last)


def test_a_damaged_checkpoint_names_the_one_before(run):
    flip(run.last, bit=8 * (run.last.stat().st_size // 2))
    with pytest.raises(UserError, match=r"--resume .*previous\.pt$"):
        load(run.last)


class Killed(BaseException):
    pass


@pytest.mark.parametrize("call", range(14))
def test_a_kill_at_any_rename_or_link_is_mended_by_resume(
    small_store, tmp_path, whole, monkeypatch, call
):
    """The names of last.pt, best.pt and previous.pt change in these calls alone."""
    left = iter(range(100))

    def dying(original):
        def changed(*words, **options):
            own = "checkpoints" in str(words[0]) and str(words[0]).endswith(".writing")
            if own and next(left) == call:
                raise Killed
            return original(*words, **options)

        return changed

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", dying(Path.replace))
        config = small_config(
            ("network.backbone", "tiny"),
            ("training.save_every", 3),
            ("training.checkpoint_every", 4),
        )
        folder = tmp_path / "run"
        try:
            small_run(small_store, folder, config)
        except Killed:
            found = Run(folder)
            if found.last.exists():
                best = load(found.last).progress.best
                assert best.accuracy < 0 or found.best.exists()
        else:
            return
    begun = (folder / "config.json").exists()  # else --out takes the folder once more
    again = {"resume": found.last} if begun else {}
    resumed = small_run(small_store, folder, config, **again).run
    assert_equal_bits(whole.last, resumed.last)
    assert load(resumed.best).progress.best == load(resumed.last).progress.best
    assert lines(resumed, "validation") == lines(whole, "validation")


@pytest.mark.parametrize("how", ["missing", "damaged"])
def test_resume_writes_the_best_again_where_a_checkpoint_holds_it(small_store, run, how):
    rewrite(run.last, lambda a: a["progress"].update(best=dict(a["progress"]["best"], episode=8)))
    middle = 8 * (run.best.stat().st_size // 2)
    run.best.unlink() if how == "missing" else flip(run.best, bit=middle)
    small_run(small_store, run.path, run.config(), resume=run.last)
    assert load(run.best).progress.best == load(run.last).progress.best


def test_the_first_of_equal_validations_is_the_best(small_store, tmp_path):
    settings = (("optimiser.lr", 1e-30),)
    saved = small_run(small_store, tmp_path / "run", small_config(*settings)).run
    accuracies = [line["student"]["accuracy"] for line in lines(saved, "validation")]
    best = load(saved.last).progress.best
    assert best.episode == 4
    assert best.accuracy == max(accuracies)


def test_two_runs_of_one_second_have_folders_of_their_own(tmp_path):
    first = Run(tmp_path / "a").claim(numbered=True)
    again = tmp_path / "a"
    (again / "config.json").write_text("{}")
    with pytest.raises(UserError, match="already holds a run"):
        Run(again).claim()
    second = Run(tmp_path / "a").claim(numbered=True)
    third = Run(tmp_path / "a").claim(numbered=True)
    assert [run.path.name for run in (first, second, third)] == ["a", "a-2", "a-3"]


def test_two_trainings_at_once_do_not_mix(small_store, tmp_path):
    words = command(small_store, "--episodes", "4", "--out", str(tmp_path / "run"))
    both = [
        forks.Fork([*words, "--seed", seed], env=environment(), stderr=forks.PIPE) for seed in "01"
    ]
    said = [process.communicate(timeout=250)[1] for process in both]
    assert sorted(process.returncode for process in both) == [0, 1], said
    (refused,) = [text for text, p in zip(said, both, strict=True) if p.returncode]
    assert "Traceback" not in refused
    assert "being written by" in refused or "already holds a run" in refused
    kept = lines(Run(tmp_path / "run"), "train")
    assert [line["episode"] for line in kept] == [1, 2, 3, 4]


def test_a_second_writer_is_refused_and_a_killed_one_is_not_waited_for(run):
    with RunLock() as first, RunLock() as second:
        first.take(run.path)
        with pytest.raises(UserError, match=f"being written by process {os.getpid()} on "):
            second.take(run.path)
    with RunLock() as third:
        third.take(run.path)
    left = {"pid": 4_000_000, "host": lock.host(), "tag": lock.host_tag(), "since": "then"}
    (run.path / ".lock").write_text(json.dumps(left))
    with RunLock() as fourth:
        fourth.take(run.path)
    (run.path / ".lock").write_text(json.dumps(left | {"host": "elsewhere"}))
    with RunLock() as fifth, pytest.raises(UserError, match=r"on elsewhere .*delete .*\.lock"):
        fifth.take(run.path)


@pytest.mark.parametrize("kind", ["file", "other things"])
def test_out_onto_something_else_is_one_line(small_store, tmp_path, kind):
    place = tmp_path / "run"
    if kind == "file":
        place.write_text("mine")
    else:
        place.mkdir()
        (place / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="give") as told:
        small_run(small_store, place, small_config())
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("lr", [1e38, 1e30])
def test_weights_that_are_not_finite_are_not_saved(small_store, tmp_path, lr):
    settings = (("optimiser.lr", lr), ("optimiser.clip", None))
    often = (("training.save_every", 1), ("optimiser.warmup", 0))
    with pytest.raises(
        UserError, match=r"not finite.*(was saved|last good checkpoint is)|too large"
    ):
        small_run(small_store, tmp_path / "run", small_config(*settings, *often))
    for path in Run(tmp_path / "run").checkpoints.glob("*.pt"):
        assert load(path).infinite is None


def test_json_has_null_where_a_number_is_not_finite():
    assert as_json({"a": float("nan"), "b": [1.0, float("inf")]}) == '{"a": null, "b": [1.0, null]}'


def test_a_checkpoint_is_flushed_before_it_has_its_name(run, monkeypatch):
    order: list[str] = []
    sync, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda file: (order.append("sync"), sync(file))[1])
    monkeypatch.setattr(
        Path, "replace", lambda old, new: (order.append(Path(new).name), replace(old, new))[1]
    )
    tasd.runs.checkpoint.Checkpoint.save(load(run.last), run.last)
    assert order == ["sync", "sync", "last.pt", "sync"]  # folder, file; name; folder


def test_what_a_killed_writer_left_is_removed_and_that_of_a_living_one_stays(tmp_path):
    ours = tmp_path / f".a.{lock.host_tag()}-{os.getpid()}-00000000.writing"
    dead = tmp_path / f".a.{lock.host_tag()}-4000000-00000000.writing"
    other = tmp_path / ".a.00000000-4000000-00000000.writing"
    for path in (ours, dead, other):
        path.touch()
    with replacing(tmp_path / "a") as temporary:
        temporary.touch()
    assert {p.name for p in tmp_path.iterdir()} == {"a", ours.name, other.name}
