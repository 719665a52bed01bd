"""A campaign of mutations: does a test fail where the code is changed? Not part of any test run.

``python -m tests.mutate FOLDER [NUMBER [SEED]]`` draws mutants, runs the test files that import the
changed module, and those that survive against the files that reach it by another module. Before,
``python -m tests.mutate map FOLDER`` may note which test runs which line (needs pytest-cov, and the
time of the whole suite); the tests that reach the changed line are run then. All go on where they
were stopped; each line of FOLDER/mutants.jsonl is one mutant. The changes are made in a copy of the
repository, FOLDER/tree.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from dataclasses import asdict
from pathlib import Path

from tests.importers import enclosing, importers
from tests.mutants import Mutant, draw

ROOT = Path(__file__).resolve().parents[1]
LIMIT = 240.0  # seconds of a mutant and a stage
NEAR, FAR = 40, 400  # tests of the two stages
PYTEST = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:benchmark"]
PYTEST += ["-m", "not long and not gpu"]

Lines = dict[str, dict[int, set[str]]]  # module: line: tests


def copied(folder: Path) -> Path:
    """Copy what tests read of the repository, once."""
    tree = folder / "tree"
    if not tree.exists():
        ignored = shutil.ignore_patterns(".git", ".venv", "__pycache__", "runs", "stores")
        shutil.copytree(ROOT, tree, symlinks=True, ignore=ignored)
    return tree


def run(tree: Path, words: list[str], *, limit: float, **variables: str) -> tuple[int, str]:
    """Run pytest in the tree, in a group of its own; exit code -1 where it takes too long."""
    environment = {**os.environ, "PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1", **variables}
    process = subprocess.Popen(
        [*PYTEST, *words],
        cwd=tree,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        return_text = process.communicate(timeout=limit)[0]
    except subprocess.TimeoutExpired:
        return_text = ""
    finally:
        late = process.poll() is None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # what a test has started ends with it
        process.wait()
    return -1 if late else process.returncode, return_text


def make_map(folder: Path) -> None:
    """Run each folder of tests once under coverage, with the test as context."""
    tree, maps = copied(folder), folder / "maps"
    maps.mkdir(exist_ok=True)
    for part in sorted(path for path in (tree / "tests").iterdir()):
        name = maps / f"tests_{part.stem}"
        is_part = part.is_dir() or part.name.startswith("test_")
        if not is_part or name.exists() or part.name in ("kept", "__pycache__"):
            continue
        began, made = time.monotonic(), maps / f".{name.name}"
        words = ["--cov=tasd", "--cov=prep", "--cov-context=test", "--cov-report="]
        where = part.relative_to(tree).as_posix()
        run(tree, ["-n", "2", *words, where], limit=3600, COVERAGE_FILE=str(made))
        made.rename(name)
        print(f"{where}: {time.monotonic() - began:.0f} s", flush=True)


def read_map(folder: Path) -> Lines:
    """Read which tests run each line; nothing where no map was made."""
    found: Lines = defaultdict(lambda: defaultdict(set))
    maps = [path for path in sorted((folder / "maps").glob("tests_*")) if not path.suffix]
    if not maps:
        return found
    import coverage

    for path in maps:
        data = coverage.CoverageData(str(path))
        data.read()
        for file in data.measured_files():
            parts = Path(file).parts
            top = max(i for i, part in enumerate(parts) if part in ("tasd", "prep"))
            while top and parts[top - 1] in ("tasd", "prep"):
                top -= 1
            module = "/".join(parts[top:])
            for line, contexts in data.contexts_by_lineno(file).items():
                found[module][line] |= {c.partition("|")[0] for c in contexts if c}
    return found


def chosen(mutant: Mutant, lines: Lines) -> tuple[list[str], list[str]]:
    """Return the tests that reach the line, and further ones that reach the module."""
    module = lines.get(mutant.module, {})
    package = Path(mutant.module).parent.name

    def order(tests: set[str]) -> list[str]:
        return sorted(tests, key=lambda test: (f"tests/{package}/" not in test, test))

    here = set().union(*(module.get(n, set()) for n in range(mutant.start[0], mutant.end[0] + 1)))
    everywhere = set().union(*module.values()) if module else set()
    near = order(here or everywhere)
    rest = [test for test in order(everywhere | here) if test not in near[:NEAR]]
    return near[:NEAR], rest[:FAR]


def _by_imports(mutant: Mutant, tree: Path) -> tuple[list[str], list[str]]:
    name = enclosing((tree / mutant.module).read_text(encoding="utf-8"), mutant.start[0])
    return importers(tree, mutant.module, name)


def judged(mutant: Mutant, tree: Path, lines: Lines) -> dict[str, object]:
    """Apply a mutant, run its tests, and take it back."""
    path = tree / mutant.module
    source, times = path.read_bytes(), path.stat()
    near, far = chosen(mutant, lines) if lines else _by_imports(mutant, tree)
    package = Path(mutant.module).parts[-2]
    mapped = lines and (tree / "tests" / package).is_dir()
    folders = [f"tests/{package}"] if mapped else []
    began, result, by, stage = time.monotonic(), "survived", "", "none"
    try:
        path.write_text(mutant.applied(source.decode()), encoding="utf-8")
        # A cache of bytecode knows a file by its second and size: each mutant has its own second.
        os.utime(path, (time.time_ns() // 1000 % 10**9,) * 2)
        for name, tests in (("line", near), ("module", [*folders, *far])):
            if not tests:
                continue
            stage = name
            code, text = run(tree, ["-x", *tests], limit=LIMIT)
            if code not in (0, 5):
                result = "killed" if code > 0 else "too long"
                failed = [x for x in text.splitlines() if x.startswith(("FAILED", "ERROR"))]
                by = (failed or text.splitlines()[-1:] or [""])[0][:200]
                break
    finally:
        path.write_bytes(source)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    seconds = round(time.monotonic() - began, 1)
    return {**asdict(mutant), "result": result, "stage": stage, "by": by, "seconds": seconds}


def campaign(folder: Path, *, count: int, seed: int) -> Counter:
    """Judge the mutants that are left of ``count``, and count the results of all."""
    tree, log = copied(folder), folder / "mutants.jsonl"
    done = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    lines = read_map(folder)
    with log.open("a") as file:
        for number, mutant in enumerate(draw(tree, count=count, seed=seed)):
            if number < len(done):
                continue
            done.append({"number": number, **judged(mutant, tree, lines)})
            file.write(json.dumps(done[-1]) + "\n")
            file.flush()
    return Counter(str(line["result"]) for line in done)


if __name__ == "__main__":
    if sys.argv[1] == "map":
        make_map(Path(sys.argv[2]))
    else:
        number, seed = (int(word) for word in [*sys.argv[2:], *("100", "16")[len(sys.argv) - 2 :]])
        print(dict(campaign(Path(sys.argv[1]), count=number, seed=seed)))
