"""A save is of its moment, though training goes on while it is written."""

import errno
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import wait as ended

import pytest
import torch

from tasd.bench.step import Bench, build_step, whole_step
from tasd.errors import UserError
from tasd.runs.checkpoint import Progress, load
from tasd.runs.folder import Run
from tasd.store import Store
from tasd.training import saver
from tasd.training.plan import training_plan
from tasd.training.saver import Saver
from tasd.training.snapshot import Snapshot
from tasd.training.state import State
from tests.runs import lines, quiet, small_config, small_run

SMALL = Bench(backbone="tiny", size=32, queries=1, precision="float32", device="cpu")


class Training:
    """A run after one step on an episode of noise."""

    def __init__(self, folder, store, device="cpu"):
        with quiet():
            self.parts, self.batch = build_step(SMALL.config("tasd"), device)
            whole_step(self.parts, self.batch)
        parts = self.parts
        self.state = State(
            parts.config, Store(store), parts.learner, parts.teacher, parts.optimiser
        )
        self.run = Run(folder)

    def saver(self):
        return Saver(
            self.state, self.run, training_plan(self.parts.config, self.parts.world), writes=True
        )

    def step(self):
        with quiet():
            whole_step(self.parts, self.batch)

    def tensors(self):
        found = self.state.checkpoint(Progress()).tensors()
        return {name: tensor.cpu().clone() for name, tensor in found.items()}


@pytest.fixture
def training(tmp_path, small_store):
    return Training(tmp_path / "run", small_store)


class Held:
    """A function that waits for `release` before it does its work."""

    def __init__(self, monkeypatch, owner, name):
        self.release, original = threading.Event(), getattr(owner, name)

        def held(*words, **options):
            assert self.release.wait(60)
            return original(*words, **options)

        monkeypatch.setattr(owner, name, held)


def late(original):
    """The function, a fifth of a second later."""

    def changed(*words, **options):
        time.sleep(0.2)
        return original(*words, **options)

    return changed


def at(episode):
    return Progress(episode=episode, step=episode)


def assert_holds(path, expected):
    found = load(path).tensors()
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert torch.equal(found[name], tensor), name


def test_a_save_is_of_its_moment_whatever_changes_before_it_is_written(training, monkeypatch):
    before, write = training.tensors(), Held(monkeypatch, saver, "write")
    with training.saver() as save:
        save(at(1))
        save.settle()
        training.step()
        training.step()
        write.release.set()
    after = training.tensors()
    same = {name for name, tensor in before.items() if torch.equal(tensor, after[name])}
    for part in ("learner/student.backbone", "teacher/model", "teacher/centre", "optimiser/0/"):
        assert any(name.startswith(part) and name not in same for name in before), part
    assert any("running_mean" in name and name not in same for name in before)
    assert_holds(training.run.last, before)


def test_the_thread_of_a_save_ends_with_it(training, monkeypatch):
    """Its helpers of OpenMP would slow down every later step."""
    write = Held(monkeypatch, saver, "write")
    with training.saver() as save:
        for number in (1, 2):
            write.release.clear()
            save(at(number))
            (thread,) = [t for t in threading.enumerate() if t.name.startswith("tasd-save")]
            write.release.set()
            save.wait()
            thread.join(60)
            assert not thread.is_alive()


def test_a_forward_and_a_backward_pass_may_run_before_all_is_copied(training, monkeypatch):
    before, copy = training.tensors(), Held(monkeypatch, Snapshot, "finish")
    with training.saver() as save:
        save(at(1))
        with quiet():
            targets = training.parts.teacher(training.batch)
            training.parts.learner(training.batch, targets).total.backward()
        copy.release.set()
    after = training.tensors()
    changed = {name for name, tensor in before.items() if not torch.equal(tensor, after[name])}
    assert any("running_mean" in name for name in changed)
    assert_holds(training.run.last, before)


def test_an_update_waits_for_the_copy_and_not_for_the_file(training, monkeypatch):
    copy, write = Held(monkeypatch, Snapshot, "finish"), Held(monkeypatch, saver, "write")
    with training.saver() as save, ThreadPoolExecutor(1) as other:
        save(at(1))
        settled = other.submit(save.settle)
        assert not ended([settled], timeout=0.2).done
        copy.release.set()
        settled.result(timeout=30)
        assert not training.run.last.exists()
        write.release.set()
    assert load(training.run.last).progress.episode == 1


def test_a_second_save_waits_for_the_first(training, monkeypatch):
    write = Held(monkeypatch, saver, "write")
    with training.saver() as save, ThreadPoolExecutor(1) as other:
        save(at(1), better=True)
        second = other.submit(save, at(2))
        assert not ended([second], timeout=0.2).done
        write.release.set()
        second.result(timeout=30)
    assert load(training.run.best).progress.episode == 1
    assert load(training.run.checkpoints / "previous.pt").progress.episode == 1
    assert load(training.run.last).progress.episode == 2


@pytest.mark.parametrize("better", [False, True])
def test_a_run_that_is_stopped_is_on_the_disk_before_that_is_said(training, monkeypatch, better):
    monkeypatch.setattr(saver, "write", late(saver.write))
    with training.saver() as save:
        save(at(1), better=better)
        save.stopped(at(2))
        assert load(training.run.last).progress.episode == 2
        assert load(training.run.best).progress.episode == (1 if better else 2)


@pytest.mark.parametrize("call", ["settle", "wait", "save", "stopped", "end"])
def test_an_error_of_the_thread_is_raised_by_the_next_call(training, monkeypatch, call):
    with training.saver() as save:
        save(at(1))
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "last.pt")

    def failing(*words, **options):
        raise full

    def fail():
        with training.saver() as save:
            save(at(2))
            ended([save._writing], timeout=30)
            calls = {"settle": save.settle, "wait": save.wait, "end": lambda: None}
            calls |= {"save": lambda: save(at(3)), "stopped": lambda: save.stopped(at(3))}
            calls[call]()
            assert call == "end", "nothing was raised"

    monkeypatch.setattr(saver, "write", failing)
    with pytest.raises(OSError, match="No space") as raised:
        fail()
    assert raised.value is full
    assert load(training.run.last).progress.episode == 1
    assert not any("tasd-save" in thread.name for thread in threading.enumerate())


def test_an_error_of_training_and_one_of_the_save_are_both_told(training):
    def fail():
        with training.saver() as save:
            save(at(1))
            raise UserError("frame 3 of video 'a/b' is not as it was written")

    next(training.parts.learner.parameters()).data.fill_(float("inf"))
    with pytest.raises(UserError) as raised:
        fail()
    first, second = raised.value.lines
    assert first.startswith("frame 3")
    assert second.startswith("episode 1: the weight")
    assert not training.run.last.exists()


def test_where_there_is_no_memory_for_a_copy_training_waits_for_the_file(training, monkeypatch):
    def none(*words, **options):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    before = training.tensors()
    monkeypatch.setattr(torch, "empty_like", none)
    with training.saver() as save:
        save(at(1))
        assert_holds(training.run.last, before)


def test_saves_that_are_copied_and_written_late_hold_what_others_hold(
    small_store, tmp_path, monkeypatch
):
    """The loop lets nothing change that is still to be copied."""
    config = small_config(
        ("network.backbone", "tiny"),
        ("training.save_every", 1),
        ("training.checkpoint_every", 2),
        ("training.validation_every", 2),
    )

    with monkeypatch.context() as patch:
        patch.setattr(Snapshot, "finish", late(Snapshot.finish))
        patch.setattr(saver, "write", late(saver.write))
        slow = small_run(small_store, tmp_path / "slow", config).run
    monkeypatch.setattr(Saver, "settle", Saver.wait)
    quick = small_run(small_store, tmp_path / "quick", config).run
    names = {path.name for path in quick.checkpoints.glob("*.pt")}
    assert {"episode-000002.pt", "previous.pt"} < names
    assert {path.name for path in slow.checkpoints.glob("*.pt")} == names
    for name in names:
        assert_holds(slow.checkpoints / name, load(quick.checkpoints / name).tensors())
        assert load(slow.checkpoints / name).progress == load(quick.checkpoints / name).progress
    assert lines(slow, "train") == lines(quick, "train")


@pytest.mark.gpu
def test_a_save_from_a_gpu_is_of_its_moment(small_store, tmp_path, cuda, monkeypatch):
    training = Training(tmp_path / "run", small_store, str(cuda))
    write = Held(monkeypatch, saver, "write")
    for episode in (1, 2):
        before = training.tensors()
        with training.saver() as save:
            save(at(episode))
            save.settle()
            training.step()
            write.release.set()
        assert_holds(training.run.last, before)
