"""Imported before tasd, this has every call within it checked against its annotations.

jaxtyping checks shapes and costs 4 microseconds a call, so it checks the modules that name arrays;
beartype alone, at a tenth of that, checks the others. Neither looks at variables within functions.
"""

import re
import sys
from pathlib import Path

from beartype import BeartypeConf
from beartype.claw import beartype_package
from jaxtyping import install_import_hook

# Names that are imported for mypy alone are unknown to beartype on its own.
NEEDED = re.compile(r"jaxtyping|TYPE_CHECKING")


def modules(folder: Path) -> list[str]:
    """Return the names of the modules of a package that jaxtyping has to check."""
    found = [path for path in sorted(folder.rglob("*.py")) if NEEDED.search(path.read_text())]
    parts = [path.relative_to(folder.parent).with_suffix("").parts for path in found]
    return [".".join(one).removesuffix(".__init__") for one in parts]


assert "tasd" not in sys.modules, "tasd is imported already, and unchecked"
beartype_package("tasd", conf=BeartypeConf(claw_is_pep526=False, violation_type=TypeError))
install_import_hook(modules(Path(__file__).parents[1] / "tasd"), "beartype.beartype")
