"""Names of files and classes as a terminal may show them."""

import unicodedata

# Control and format characters (among them those that turn the direction of a text), lone
# surrogates, private characters, and separators of lines and paragraphs.
HIDDEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


def printable(text: str, *, keep: str = "") -> str:
    r"""Return a text with control and direction characters escaped, as in ``a\x1b[2Jb``.

    keep: characters that stay, such as the line feeds of a message.
    """
    return "".join(
        char if char in keep or unicodedata.category(char) not in HIDDEN else _escaped(char)
        for char in text
    )


def _escaped(char: str) -> str:
    return char.encode("unicode_escape", "surrogatepass").decode()
