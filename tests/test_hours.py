"""The figures of docs/hours.md are those of the recipes as they are now."""

from pathlib import Path

from tests.hours import rows

PAGE = Path(__file__).parents[1] / "docs" / "hours.md"


def test_the_table_of_hours_is_that_of_the_recipes():
    written = [line for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    assert written == list(rows()), "write docs/hours.md again: python -m tests.hours"
