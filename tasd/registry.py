"""Names: the choice among implementations, and settings as a person types them."""

import difflib
from collections.abc import Iterator, Mapping, MutableMapping
from importlib import import_module
from typing import Any, TypeVar

from tasd.errors import UserError
from tasd.files import as_json

Part = TypeVar("Part")


def pick(table: Mapping[str, Part], name: str, *, what: str) -> Part:
    """Return the entry of ``table`` called ``name``.

    what: the kind of entry, for the message ("backbone", "matcher").

    Raises `UserError`, which lists the right names.
    """
    if name in table:
        return table[name]
    close = difflib.get_close_matches(name, table, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    raise UserError(f"no {what} is called {name!r}; there are: {', '.join(table)}{hint}")


class Lazy(MutableMapping[str, Part]):
    """A table of implementations, of which each is imported when it is looked up.

    package: the package that holds them. places: name -> module and object, as in "otam.OTAM".
    """

    def __init__(self, package: str, places: Mapping[str, str]) -> None:
        self._package, self._entries = package, dict[str, Any](places)

    def __getitem__(self, name: str) -> Part:
        found = self._entries[name]
        if isinstance(found, str):
            module, _, of = found.rpartition(".")
            found = getattr(import_module(f"{self._package}.{module}"), of)
        return found  # type: ignore[no-any-return]

    def __setitem__(self, name: str, entry: Part) -> None:
        self._entries[name] = entry

    def __delitem__(self, name: str) -> None:
        del self._entries[name]

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


class SettingName(str):
    """The name of a setting, with the option that a person typed for it.

    typed: such as ``--episodes``; without it the setting was typed as ``--set a.b=c``.
    """

    typed: str

    def __new__(cls, name: str, *, typed: str) -> "SettingName":
        """Return the name as text that knows its option."""
        named = super().__new__(cls, name)
        named.typed = typed
        return named


def typed_as(name: str, value: Any) -> str:
    """Return a setting and its value as a person typed them: ``--way 9``, ``--set a.b=9``."""
    text = str(value) if isinstance(value, str | float) else as_json(value)
    typed = getattr(name, "typed", None)
    return f"{typed} {text}" if typed else f"--set {name}={text}"


# Settings that options of tasd train and tasd reproduce replace, by their names in config.json.
OPTIONS: dict[str, SettingName] = {
    setting: SettingName(setting, typed=option)
    for option, setting in {
        "--way": "episode.way",
        "--shot": "episode.shot",
        "--queries": "episode.queries",
        "--episodes": "training.episodes",
        "--episodes-per-step": "training.episodes_per_step",
        "--seed": "training.seed",
        "--backbone": "network.backbone",
        "--weights": "network.weights",
        "--matcher": "matcher.name",
        "--crop": "data.crop",
        "--loader": "data.loader",
        "--precision": "training.precision",
    }.items()
}
