"""Files that the hosts of projects read: citation, security, templates, the workflow."""

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from tasd import __version__

TOP = Path(__file__).parents[1]


KINDS = {"", ".cff", ".md", ".toml", ".txt", ".yml"}


def read(name: str) -> Any:
    return yaml.safe_load((TOP / name).read_text())


def test_the_citation_names_this_version_and_the_paper() -> None:
    citation = read("CITATION.cff")
    assert citation["version"] == __version__
    assert citation["license"] == "MIT"
    paper = citation["preferred-citation"]
    assert paper["title"] == "Task-Agnostic Self-Distillation for Few-Shot Action Recognition"
    assert paper["authors"][0]["family-names"] == "Zhang"
    assert len(paper["authors"]) == 7


def test_the_workflow_runs_the_same_commands_on_every_python_of_the_classifiers() -> None:
    project = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]
    start = "Programming Language :: Python :: 3."
    pythons = {name.removeprefix(start) for name in project["classifiers"] if start in name}
    (job,) = read(".github/workflows/ci.yml")["jobs"].values()
    assert {
        version.removeprefix("3.") for version in job["strategy"]["matrix"]["python"]
    } == pythons
    assert job["timeout-minutes"] <= 60
    assert job["steps"][-1] == {"run": ".ci/run"}


@pytest.mark.parametrize("name", ["fault", "wish"])
def test_templates_of_issues_have_the_head_that_the_host_asks_for(name: str) -> None:
    text = (TOP / ".github" / "ISSUE_TEMPLATE" / f"{name}.md").read_text()
    _, head, body = text.split("---", 2)
    assert yaml.safe_load(head).keys() == {"name", "about"}
    assert body.strip()


def test_security_links_to_the_tests_behind_its_promises() -> None:
    text = (TOP / "SECURITY.md").read_text()
    assert "docs/reliability.md" in text
    assert (TOP / "docs" / "reliability.md").exists()


def test_nothing_that_a_program_left_at_the_top_is_kept() -> None:
    """A test that forgets its folder leaves its files there, and ``git add .`` takes them."""
    done = subprocess.run(["git", "ls-files"], cwd=TOP, capture_output=True, text=True)
    if done.returncode:
        pytest.skip("not a repository of git")
    kept = [name for name in done.stdout.splitlines() if "/" not in name]
    assert [
        name for name in kept if not name.startswith(".") and Path(name).suffix not in KINDS
    ] == []


def test_every_version_has_release_notes() -> None:
    def versions(name: str) -> list[str]:
        heads = re.findall(r"^## (.+)$", (TOP / name).read_text(), re.MULTILINE)
        return [head.removesuffix(" (not released yet)") for head in heads]

    changes, notes = versions("CHANGELOG.md"), versions("docs/releases.md")
    assert changes[0] == "Unreleased" or changes == notes
    assert changes[1:] == notes[1:]
