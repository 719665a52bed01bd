"""Each equation of the paper has exactly one home: the function whose docstring ends with it."""

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "tasd"
# Those of other papers are written "Eq. (8) of Cao et al. 2020." and do not match.
OWN = re.compile(r"Eq\. \((\d+)\)\.$")
DOCUMENTED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def homes(source, name):
    """Find our equations in a module's docstrings: number -> names of functions and classes."""
    found = defaultdict(list)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, DOCUMENTED):
            claim = OWN.search((ast.get_docstring(node) or "").strip())
            if claim:
                found[int(claim[1])].append(f"{name}:{node.name}")
    return found


def homes_in_package():
    found = defaultdict(list)
    for path in sorted(PACKAGE.rglob("*.py")):
        for equation, places in homes(path.read_text("utf-8"), path.name).items():
            found[equation] += places
    return found


@pytest.mark.parametrize("equation", range(1, 12))
def test_the_equation_has_one_home(equation):
    assert len(homes_in_package()[equation]) == 1


def test_no_equation_is_claimed_that_the_paper_does_not_have():
    assert set(homes_in_package()) <= set(range(1, 12))


def test_claims_are_found_and_mentions_and_other_papers_equations_are_not():
    source = '''
def norm():
    """The root of a sum. Eq. (9)."""

class Teacher:
    """Moves; see Eq. (10). It moves weights alone."""

    def follow(self):
        """Moves the weights.

        By a little. Eq. (1).
        """

def again():
    """The root of a sum, again. Eq. (9)."""

def soft():
    """A soft minimum. Eq. (8) of Cao et al. 2020."""
'''
    assert homes(source, "m") == {9: ["m:norm", "m:again"], 1: ["m:follow"]}
