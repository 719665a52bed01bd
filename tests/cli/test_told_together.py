"""All mistakes of a command are told at once, each under the name that was typed."""

import pytest

from tasd import recipes
from tasd.backbones import weights
from tasd.cli.app import app
from tasd.errors import Mistakes, UserError, UserErrors
from tests.stores import write_store


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("told") / "stores" / "s", videos=3, frames=4)


def told(*words) -> list[str]:
    with pytest.raises(UserError) as error:
        app([str(word) for word in words], standalone_mode=False)
    return list(error.value.lines)


@pytest.fixture(autouse=True)
def no_download(monkeypatch):
    monkeypatch.setattr(weights, "load", lambda *args, **options: pytest.fail("loaded"))


def test_one_mistake_stays_one_error():
    mistakes = Mistakes()
    mistakes.add(UserError("a"))
    with pytest.raises(UserError) as error:
        mistakes.tell()
    assert type(error.value) is UserError


def test_an_error_inside_the_block_is_told_with_the_others():
    def block(last: Exception) -> None:
        with Mistakes() as mistakes:
            mistakes.of(recipes.make, "nope", dataset="folder", shot=1)
            raise last

    with pytest.raises(UserErrors) as error:
        block(UserError("b"))
    assert len(error.value.lines) == 2
    with pytest.raises(KeyError):
        block(KeyError())


def test_train_tells_backbone_matcher_and_queries(store):
    wrong = ["--backbone", "resnet51", "--matcher", "otamm", "--queries", 9, "--crop", 64]
    lines = told("train", "--store", store, *wrong)
    assert [line.split()[1] for line in lines] == ["backbone", "matcher", "'train"]


@pytest.mark.parametrize("command", [["train"], ["reproduce", "table1"], ["reproduce", "table2"]])
def test_an_option_is_told_under_the_name_that_was_typed(store, command):
    wrong = ["--episodes", 0, "--shot", 0, "--crop", 8, "--set", "optimiser.lr=-1", "--way", 1]
    lines = told(*command, "--store", store, *wrong, "--backbone", "resnet51")
    for begin in ("--episodes 0 is", "--shot 0 is", "--crop 8 is", "--way 1 is"):
        assert any(line.startswith(begin) for line in lines), (begin, lines)
    assert any(line.startswith("--set optimiser.lr=-1 is wrong") for line in lines)
    assert any("resnet51" in line for line in lines)
    assert not any("training.episodes" in line for line in lines)


def test_evaluate_tells_all(store):
    wrong = ["--backbone", "resnet51", "--matcher", "otamm", "--seeds", "x", "--device", "tpu"]
    assert len(told("evaluate", "--store", store, *wrong)) == 4
    wrong = ["--backbone", "resnet8", "--weights", "none", "--queries", 9]
    assert any("needs 10" in line for line in told("evaluate", "--store", store, *wrong))


def test_predict_and_prep_tell_all(tmp_path):
    wrong = ["--backbone", "resnet51", "--matcher", "otamm", "--device", "tpu", "--stride", 3]
    assert len(told("predict", "--support", tmp_path / "no", tmp_path, *wrong)) == 6
    wrong = ["--root", tmp_path / "no", "--size", 3, "--frames", "abc", "--list", tmp_path / "no"]
    assert len(told("prep", "ucf102", *wrong)) == 5


def test_a_file_of_weights_that_is_none_is_told_with_the_others(store, tmp_path):
    readme, tensors = tmp_path / "README.md", tmp_path / "a.safetensors"
    readme.write_text("# Weights\n")
    tensors.write_bytes(b"no safetensors")
    for path in (readme, tensors):
        wrong = ["--weights", path, "--backbone", "resnet18", "--set", "matcher.options.foo=1"]
        fits = ["--queries", 1, "--crop", 40]
        lines = told("train", "--store", store, *wrong, *fits)
        assert len(lines) == 2
        assert any(line.startswith(f"--weights {path} cannot be read") for line in lines)
        wrong = ["--backbone", "resnet18", "--weights", path, "--matcher", "otamm"]
        assert len(told("evaluate", "--store", store, *wrong)) == 2
