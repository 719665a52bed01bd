"""The model card of an export says what its result files and its config say, and no more."""

import json
from dataclasses import replace

import pytest
import yaml

from tasd import recipes
from tasd.predict.card import model_card, plain, results_of, weights_licence
from tasd.predict.trained import trained_network
from tasd.recipes.settings import replace as changed
from tasd.runs.folder import Run
from tests.cli.test_predict import run_tasd


@pytest.fixture
def tested(home):
    """A run that was tested on some episodes, with the floor left out."""
    run = home / "runs" / "tiny"
    run_tasd("evaluate", "--run", run, "--episodes", 20, "--no-floor")
    return run


def test_a_card_has_the_accuracy_of_the_result_file_and_the_front_matter_of_hubs(tested, tmp_path):
    out = tmp_path / "export"
    run_tasd("export", tested, "--out", out, "--no-reject", "--license", "cc-by-4.0")
    _, front, text = (out / "README.md").read_text("utf-8").split("---\n", 2)
    head = yaml.safe_load(front)
    assert head["license"] == "cc-by-4.0"
    assert head["library_name"] == "tasd"
    assert {"few-shot-learning", "action-recognition", "bimhm"} <= set(head["tags"])
    (result,) = (json.loads(path.read_text()) for path in (tested / "evaluation").glob("*.json"))
    network = result["networks"][json.loads((out / "config.json").read_text())["network"]]
    low, high = network["interval95"]["sampling of episodes only"]
    row = next(line for line in text.splitlines() if "20 episodes" in line and "test" in line)
    assert f"| {network['accuracy']:.2%} | {100 * low:.2f} - {100 * high:.2f} |" in row
    for word in ("folder", "| backbone | tiny, ", "random at the start", "cc-by-4.0", "way 1-shot"):
        assert word in text, word
    trained = trained_network(Run(tested))
    assert all(plain(name) in text for name in trained.classes)
    assert str(tested) not in text  # folders of this machine are private
    assert "Not measured" not in text


def test_results_of_another_checkpoint_or_matcher_or_damaged_are_left_out(tested, capsys):
    trained = trained_network(Run(tested))
    assert len(results_of(tested, trained.identity)) == 1
    assert results_of(tested, "0" * 64) == []
    run_tasd("evaluate", "--run", tested, "--episodes", 20, "--no-floor", "--matcher", "otam")
    assert len(results_of(tested, trained.identity)) == 1
    (tested / "evaluation" / "broken.json").write_text("{")
    assert len(results_of(tested, trained.identity)) == 1
    assert "not in the model card" in capsys.readouterr().err


def test_a_network_that_was_not_tested_says_so_and_claims_no_licence(home):
    trained = trained_network(Run(home / "runs" / "tiny"))
    text = model_card(trained, [])
    assert 'license: "unknown"' in text
    assert "Not measured before this export" in text
    assert "Its accuracy is unknown" in text
    assert "%" not in text.partition("## Accuracy")[2].partition("## Limits")[0]


def test_names_of_classes_cannot_write_marks_or_html(home):
    trained = trained_network(Run(home / "runs" / "tiny"))
    evil = "<img src=x onerror=alert(1)> [click](http://x) | `a` \n# Title \x1b[2J"
    text = model_card(replace(trained, classes=(evil,)), [], licence='mit"\nlicense: "gpl')
    assert "<img" not in text
    assert "[click](" not in text
    assert "\x1b" not in text
    assert "\n# Title" not in text
    assert yaml.safe_load(text.split("---\n", 2)[1])["license"] == 'mit"\nlicense: "gpl'


@pytest.mark.parametrize(
    ("backbone", "weights", "said"),
    [
        ("resnet50", "imagenet", "of torchvision, licence BSD"),
        ("resnet50", "none", "random at the start"),
        ("resnet50", "/home/me/secret/weights.pth", "of a licence that is not known here"),
        ("efficientnet_lite0", "imagenet", "which names no licence"),
    ],
)
def test_the_licence_of_the_first_weights_is_what_their_package_says(backbone, weights, said):
    config = recipes.make("baseline", dataset="ucf101", shot=1)
    config = changed(config, [("network.backbone", backbone), ("network.weights", weights)])
    assert said in weights_licence(config)
    assert "/home" not in weights_licence(config)


def test_timm_says_the_licence_of_each_of_its_models():
    pytest.importorskip("timm", reason="timm is not installed")
    config = recipes.make("baseline", dataset="ucf101", shot=1)
    settings = [
        ("network.backbone", "timm/convnext_tiny.fb_in1k"),
        ("network.weights", "pretrained"),
    ]
    assert "of timm, licence apache-2.0" in weights_licence(changed(config, settings))
