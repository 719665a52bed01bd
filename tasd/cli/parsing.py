"""Commands that tell all options with wrong values at once, and that they are loading."""

from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand


class Command(TyperCommand):
    """A command whose wrong values are told together, a line each."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the words after the command. Raises typer's errors of usage."""
        words = list(args)
        try:
            return super().parse_args(ctx, args)
        except typer.BadParameter as first:
            told = first.format_message()
            others = [line for line in self._wrong(ctx, words) if line != told]
            first.message = "\nError: ".join([first.message, *others])
            raise

    def _wrong(self, ctx: Any, words: list[str]) -> list[str]:
        values, _, _ = self.make_parser(ctx).parse_args(args=words)
        found = []
        for parameter in self.get_params(ctx):
            try:
                parameter.handle_parse_result(ctx, values, [])
            except typer.BadParameter as error:
                found.append(error.format_message())
        return found


def loading(*modules: str) -> type[Command]:
    """Make a command that imports ``modules`` first, which takes seconds, and says so meanwhile.

    A terminal shows a moving bar on standard error, which is gone before anything else is printed.
    """

    class Loading(Command):
        def invoke(self, ctx: Any) -> Any:
            from tasd.cli.say import waiting

            with waiting("loading torch"):
                for name in modules:
                    import_module(name)
            return super().invoke(ctx)

    return Loading
