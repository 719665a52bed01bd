"""Types and shapes are checked in every call of a test."""

from collections.abc import Iterator
from dataclasses import dataclass

import jaxtyping
import pytest
import torch
from beartype import beartype
from beartype.roar import BeartypeCallHintViolation as Violation
from jaxtyping import Float
from torch import Tensor

from tasd.matchers.arithmetic import frame_norms
from tests import shapes

checked = shapes.jaxtyped(typechecker=beartype)
SQUARE, LINE = torch.zeros(3, 3), torch.zeros(2)


@checked
def doubled(tensor: Float[Tensor, " n"], *, twice: bool = True) -> Float[Tensor, " n"]:
    return torch.cat([tensor, tensor]) if twice else tensor


@checked
def product(left: Float[Tensor, "a b"], right: Float[Tensor, "b c"]) -> Float[Tensor, "a c"]:
    doubled(torch.zeros(5), twice=False)  # sizes of its own
    return left @ right if len(left) != 4 else right


@checked
def parts(tensor: Float[Tensor, "n m"]) -> Iterator[Tensor]:
    yield from tensor


@checked
def over(rows: Float[Tensor, "m n"]) -> Float[Tensor, " n"]:
    return torch.stack([*parts(rows)]).sum(0)


@checked
def elsewhere(number: int) -> "NowhereToImport | None":  # noqa: F821
    return number


@checked
@dataclass
class Pair:
    one: Float[Tensor, " n"]
    other: Float[Tensor, " n"]


def test_an_argument_of_another_type_or_shape_is_refused():
    with pytest.raises(Violation):
        doubled(LINE, twice="no")
    with pytest.raises(Violation):
        doubled(SQUARE, twice=False)
    with pytest.raises(Violation) as told:
        product(SQUARE, torch.zeros(2, 3))
    assert "b=3" in "".join(told.value.__notes__)


def test_a_result_of_another_shape_is_refused():
    assert doubled(LINE, twice=False).shape == (2,)
    with pytest.raises(Violation):
        doubled(LINE)
    assert product(torch.zeros(2, 3), torch.zeros(3, 4)).shape == (2, 4)
    with pytest.raises(Violation):
        product(torch.zeros(4, 3), torch.zeros(3, 5))


def test_a_generator_does_not_see_the_names_of_who_asks():
    assert over(torch.zeros(2, 5)).shape == (5,)
    with pytest.raises(TypeError):
        parts(LINE)


def test_a_name_that_only_a_type_checker_imports_is_let_be():
    assert elsewhere(3) == 3
    with pytest.raises(TypeError):
        elsewhere("3")


def test_the_fields_of_a_class_are_checked():
    Pair(LINE, LINE)
    with pytest.raises((TypeError, Violation)):
        Pair(LINE, torch.zeros(3))


def test_the_project_is_checked_in_this_way():
    assert jaxtyping.jaxtyped is shapes.jaxtyped
    with pytest.raises(Violation):
        frame_norms(SQUARE[0])
