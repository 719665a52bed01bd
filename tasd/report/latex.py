"""Tables as LaTeX."""

from tasd.foreign import clean
from tasd.report.tables import Mark, Row, Table


def latex(table: Table) -> str:
    """Format a table as LaTeX for the package booktabs; a rule separates our rows."""
    lines = [
        r"\begin{table}[t]",
        r"\centering",
        rf"\caption{{{_escaped(table.caption)}}}",
        rf"\label{{tab:{table.name}}}",
        rf"\begin{{tabular}}{{l{'c' * (len(table.header) - 1)}}}",
        r"\toprule",
        _latex_row(tuple(map(_escaped, table.header))),
        r"\midrule",
    ]
    forms: dict[Mark, str] = {"best": r"\textbf{{{}}}", "second": r"\underline{{{}}}"}
    for number, row in enumerate(table.cells(_escaped, forms)):
        if table.ours and number and number == len(table.rows) - table.ours:
            lines.append(r"\midrule")
        lines.append(_latex_row(row))
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}"]) + "\n"


LATEX = {character: f"\\{character}" for character in "&%_#${}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}


def _latex_row(row: Row) -> str:
    return " & ".join(row) + r" \\"


def _escaped(text: str) -> str:
    escaped = "".join(LATEX.get(character, character) for character in clean(text))
    return escaped.replace("±", r"$\pm$")
