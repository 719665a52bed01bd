"""The error that is shown to the user, and several of them told together."""

from collections.abc import Callable, Iterable
from types import TracebackType
from typing import ParamSpec, TypeVar

Given = ParamSpec("Given")
Found = TypeVar("Found")


class UserError(Exception):
    """A mistake that the user can correct; printed as one line, exit code 1.

    The message names the value, where it came from, the rule that it breaks and the way out.
    """

    @property
    def lines(self) -> tuple[str, ...]:
        """The lines that are printed, one for each mistake."""
        return (str(self),)


class UserErrors(UserError):
    """Several mistakes of one command, each printed as a line."""

    def __init__(self, errors: Iterable[UserError]) -> None:
        self._lines = tuple(dict.fromkeys(line for error in errors for line in error.lines))
        super().__init__("; ".join(self._lines))

    @property
    def lines(self) -> tuple[str, ...]:
        """The lines that are printed, one for each mistake."""
        return self._lines


class Mistakes:
    """Checks that do not wait for one another, so that all mistakes are told together.

    with Mistakes() as mistakes:
        mistakes.of(check_backbone, name)
        mistakes.of(check_store, path)

    The block ends with `UserErrors` where a check failed, or the `UserError` of the only one.
    """

    def __init__(self) -> None:
        self._errors: list[UserError] = []

    def of(
        self, check: Callable[Given, Found], /, *args: Given.args, **options: Given.kwargs
    ) -> Found | None:
        """Return what ``check`` returns; None where it raised `UserError`, which is kept."""
        try:
            return check(*args, **options)
        except UserError as error:
            self.add(error)
            return None

    def add(self, error: UserError) -> None:
        """Keep an error for the end."""
        self._errors.append(error)

    def tell(self) -> None:
        """Raise what was found so far, if anything."""
        if len(self._errors) > 1:
            raise UserErrors(self._errors) from None
        if self._errors:
            raise self._errors[0] from None

    def __enter__(self) -> "Mistakes":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        place: TracebackType | None,
    ) -> None:
        if isinstance(error, UserError):
            self.add(error)
        if error is None or isinstance(error, UserError):
            self.tell()
