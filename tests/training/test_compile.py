"""``training.compile``: off unless asked for, the same numbers, a clear line where it cannot be."""

import shutil
import sys

import pytest

from tasd import recipes
from tasd.errors import UserError
from tests import forks
from tests.runs import environment, small_config, small_run


def test_nothing_is_compiled_unless_it_is_asked_for():
    for name in recipes.RECIPES:
        assert not recipes.make(name, dataset="folder", shot=1).training.compile


def test_a_missing_compiler_is_told_in_one_line_before_anything_is_written(
    small_store, tmp_path, monkeypatch
):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(UserError, match=r"needs a C\+\+ compiler.*install g\+\+ or leave") as said:
        small_run(small_store, tmp_path / "run", small_config(("training.compile", True)))
    assert "\n" not in str(said.value)
    assert not (tmp_path / "run").exists()


def test_with_live_statistics_compiling_and_checkpointing_exclude_one_another(
    small_store, tmp_path
):
    both = ("training.compile", True), ("network.gradient_checkpointing", True)
    with pytest.raises(UserError, match="needs frozen BatchNorm"):
        small_run(small_store, tmp_path / "run", small_config(*both))
    assert not (tmp_path / "run").exists()


ALIKE = """
import torch
from tasd import backbones

def gradients(*, compiled):
    torch.manual_seed(0)
    backbone = backbones.build("resnet8")
    backbone.batchnorm_frozen = backbone.gradient_checkpointing = True
    backbone.train()
    if compiled:
        backbone.compile(backend="aot_eager")  # all but the generated code
    frames = torch.randn(2, 2, 3, 32, 32, requires_grad=True)
    backbone(frames).square().mean().backward()
    return [frames.grad, *(p.grad for p in backbone.parameters())]

for ours, plain in zip(gradients(compiled=True), gradients(compiled=False), strict=True):
    torch.testing.assert_close(ours, plain, rtol=1e-3, atol=1e-6)
print("alike")
"""


def test_a_compiled_and_checkpointed_backbone_has_the_gradients_of_a_plain_one():
    # A process of its own: what checks types in tests cannot be compiled.
    ended = forks.run([sys.executable, "-c", ALIKE], env=environment())
    assert ended.stdout == "alike\n", ended.stderr
