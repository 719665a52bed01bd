"""A page of the site with every message of the code for a person, each group with its section.

Written from the source, so that it has all of them; docs/troubleshooting.md explains those that are
met most.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
ERRORS = {"UserError", "InputError", "WeightsMissing"}

# The section that explains the messages of a module: the longest name that fits counts.
SECTIONS = {
    "prep": ("Prep", "prep.md"),
    "prep.cluster": ("Prep on a cluster", "clusters.md#prep-on-a-dask-cluster"),
    "prep.remote": ("Prep on a cluster", "clusters.md#prep-on-a-dask-cluster"),
    "prep.resume": ("Interrupted preps", "prep.md#interrupted-preps-and-changed-videos"),
    "tasd": ("Everything else", "troubleshooting.md"),
    "tasd.app": ("The page", "app.md#what-is-kept"),
    "tasd.backbones": ("Backbones and weights", "backbones.md#weights"),
    "tasd.cli.evaluate": ("Evaluation", "evaluation.md"),
    "tasd.cli.predict": ("Your own clips", "predict.md"),
    "tasd.cli.predict_support": ("Add, correct, forget", "predict.md#add-correct-forget"),
    "tasd.cli.serve": ("The page", "app.md#what-is-kept"),
    "tasd.cli.splits": ("Data sets", "datasets.md"),
    "tasd.cli.train": ("Training", "training.md#what-a-stop-costs"),
    "tasd.config": ("Settings", "api-methods.md#settings"),
    "tasd.datasets": ("Data sets", "datasets.md"),
    "tasd.datasets.folder": ("Folders of your own", "datasets.md#your-own-clips"),
    "tasd.datasets.label_maps": ("Lists of videos", "datasets.md#lists-of-videos"),
    "tasd.datasets.list_lines": ("Lists of videos", "datasets.md#lists-of-videos"),
    "tasd.datasets.lists": ("Lists of videos", "datasets.md#lists-of-videos"),
    "tasd.datasets.ssv2": ("Something-Something V2", "datasets.md#something-something-v2"),
    "tasd.episodes": ("Episodes", "evaluation.md#episodes"),
    "tasd.evaluation": ("Evaluation", "evaluation.md"),
    "tasd.extraction": ("Feature files", "evaluation.md#feature-files"),
    "tasd.features": ("Feature files", "evaluation.md#feature-files"),
    "tasd.files": ("Files", "reliability.md#atomic-saves"),
    "tasd.loader": ("Pixels", "performance.md#loader-from-jpeg-to-pixels"),
    "tasd.matchers": ("Matchers", "reproduce.md#a-recipe-for-each-matcher"),
    "tasd.model": ("Networks", "backbones.md#maps-and-pooled-frames"),
    "tasd.predict": ("Your own clips, in Python", "predict.md#in-python"),
    "tasd.predict.export": ("Exports", "predict.md#take-it-along"),
    "tasd.predict.leave_one_out": ("None of these", "predict.md#none-of-these"),
    "tasd.predict.reject": ("None of these", "predict.md#none-of-these"),
    "tasd.predict.reading": ("Your own clips", "predict.md"),
    "tasd.predict.support": ("Your own clips", "predict.md"),
    "tasd.predict.support_file": ("Support files", "predict.md#support-files"),
    "tasd.predict.support_folder": ("Add, correct, forget", "predict.md#add-correct-forget"),
    "tasd.predict.timeline": ("Long videos", "predict.md#long-videos"),
    "tasd.predict.untrained": ("Without a run", "predict.md#without-a-run"),
    "tasd.predict.windows": ("Long videos", "predict.md#long-videos"),
    "tasd.recipes": ("Recipes", "reproduce.md#a-recipe-for-each-matcher"),
    "tasd.registry": ("Settings", "api-methods.md#settings"),
    "tasd.report": ("Report", "evaluation.md#report"),
    "tasd.reproduce": ("The paper's tables", "reproduce.md#the-tables"),
    "tasd.runs": ("Runs and checkpoints", "reliability.md"),
    "tasd.runs.lock": ("One writer", "reliability.md#locks"),
    "tasd.store": ("Stores", "reliability.md#shards"),
    "tasd.training": ("Training", "training.md#what-a-stop-costs"),
    "tasd.training.distributed": ("Several GPUs", "training.md#several-gpus-and-hosts"),
}


@dataclass(frozen=True)
class Message:
    """A message of the code; ``...`` stands for its values."""

    module: str
    text: str


def messages() -> Iterator[Message]:
    """Iterate over the messages of tasd and prep, by module."""
    for path in sorted([*(ROOT / "tasd").rglob("*.py"), *(ROOT / "prep").rglob("*.py")]):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ERRORS and node.args:
                yield Message(module, _text(node.args[0]))


def _text(node: ast.expr) -> str:
    """``f"no {a}" + "b"`` -> ``no ...b``."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(each) for each in node.values)
    if isinstance(node, ast.BinOp):
        return _text(node.left) + _text(node.right)
    return "..."


def section(module: str) -> tuple[str, str]:
    """Return the title and the address of the section for a module's messages."""
    fitting = [name for name in SECTIONS if f"{module}.".startswith(f"{name}.")]
    return SECTIONS[max(fitting, key=len)]


def page() -> str:
    """Return the page as Markdown."""
    groups: dict[tuple[str, str], dict[str, None]] = {}
    for message in messages():
        if message.text.strip(". "):
            groups.setdefault(section(message.module), {})[message.text] = None
    lines = [
        "# All messages",
        "",
        "Each message of tasd for a mistake that you can mend, as the code has it; `...` stands",
        "for your names and numbers. Those that are met most are explained in",
        "[troubleshooting](troubleshooting.md).",
    ]
    for (title, address), texts in sorted(groups.items()):
        lines += ["", f"## {title}", "", f"Explained in [this section]({address}).", ""]
        lines += [f"- `` {text} ``" for text in sorted(texts)]
    return "\n".join(lines) + "\n"


def on_files(files: Any, config: Any) -> Any:
    """Hook of MkDocs: add the page."""
    from mkdocs.structure.files import File

    files.append(File.generated(config, "messages.md", content=page()))
    return files
