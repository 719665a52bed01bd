"""The parts of the page in their order, each left out where the runs have no data for it."""

from collections.abc import Sequence

from tasd.files import as_json
from tasd.foreign import clean_lines
from tasd.report.class_bars import class_bars
from tasd.report.differences import differences_table
from tasd.report.hardware import hardware_table
from tasd.report.markup import Section, escaped, paragraph
from tasd.report.outcome import Outcome
from tasd.report.paired import comparisons
from tasd.report.paired_chart import paired_chart
from tasd.report.pictures import Picture, figures
from tasd.report.run_section import run_section
from tasd.report.tables import Table, html_table
from tasd.store import Store

# Bytes of the page, below 10 MB; characters of its frames; points of all plots. Figures take what
# room the other parts leave.
LIMIT, FRAMES_ROOM = 9_500_000, 5_000_000
MOST_POINTS = 4000
MOST_RUNS = 6  # with a part of their own


def page_sections(
    outcomes: Sequence[Outcome],
    tables: Sequence[Table],
    pictures: Sequence[Picture],
    *,
    store: Store | None = None,
) -> list[Section]:
    """Make the parts of the page. store: of the frames. Raises `UserError` for a wrong one."""
    tested = [outcome for outcome in outcomes if outcome.result is not None]
    parts = [_results(tables)]
    if len(tested) > 1:
        parts.append(Section("compared", "Paired comparison", paired_chart(comparisons(tested))))
    if len(outcomes) > 1:
        content = differences_table(outcomes)
        parts.append(Section("settings", "Settings that differ", content))
    if tested:
        parts.append(Section("classes", "Accuracy of each class", class_bars(tested)))
    parts += _runs(tested, store)
    last = [
        Section("hardware", "Hours and hardware", hardware_table(outcomes)),
        Section("provenance", "Provenance of the numbers", "".join(map(_provenance, outcomes))),
    ]
    taken = sum(len(part.html.encode()) for part in (*parts, *last))
    drawn = figures(pictures, room=LIMIT - taken)
    return [*parts, *([Section("figures", "Figures", drawn)] if drawn else []), *last]


def _results(tables: Sequence[Table]) -> Section:
    none = "No run was tested yet; test one with tasd evaluate."
    content = "".join(map(html_table, tables)) if tables else paragraph(none)
    return Section("results", "Results", content)


def _runs(tested: Sequence[Outcome], store: Store | None) -> list[Section]:
    shown = tested[:MOST_RUNS]
    parts = [
        run_section(
            outcome,
            number=number,
            room=FRAMES_ROOM // len(shown),
            points=MOST_POINTS // len(shown),
            store=store,
        )
        for number, outcome in enumerate(shown)
    ]
    if len(tested) > len(shown):
        text = (
            f"Confusions, embeddings and episodes are of the first {MOST_RUNS} runs; name others "
            "first to see theirs."
        )
        parts.append(Section("others", "Other runs", paragraph(text)))
    return parts


def _provenance(outcome: Outcome) -> str:
    content = {} if outcome.result is None else dict(outcome.result["provenance"])
    content["config"] = outcome.config.model_dump()
    text = escaped_lines(as_json(content, indent=1))
    summary = f"<summary>{escaped(outcome.name)}</summary>"
    return f"<details>{summary}<pre tabindex=0>{text}</pre></details>"


def escaped_lines(text: str) -> str:
    """Return text of several lines for HTML."""
    return "\n".join(map(escaped, clean_lines(text).split("\n")))
