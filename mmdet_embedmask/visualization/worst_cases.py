"""Pictures and page of the images on which most went wrong (paper figure 6)."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from urllib.parse import quote

from ..evaluation.matching import FOUND_IOU, iou_text
from ..evaluation.verdict import OUTCOMES, Verdict
from .colors import neighbor_colors
from .layout import beside, legend, page, picture_size, resized, titled
from .overlay import overlay_masks
from .rows import Row
from .style import Color, Image

THUMBNAIL = 480
"""Width in pixels of a picture in the page's table."""

OUTCOME_COLORS: dict[str, Color] = dict(
    found=(90, 200, 60), split=(0, 150, 255), merged=(240, 60, 240), missed=(50, 50, 255)
)


VERDICT_NUMBERS = ("instances", "lost", "split", "merged", "extra")
"""What the page's table tells of a verdict."""

STYLE = """
body { font: 15px/1.4 system-ui, sans-serif; margin: 2em; color: #222; background: #fff; }
table { border-collapse: collapse; }
th, td { padding: .4em .8em; border-bottom: 1px solid #ddd; text-align: right; }
th { position: sticky; top: 0; background: #fff; cursor: pointer; white-space: nowrap; }
th:hover { text-decoration: underline; }
td.name { text-align: left; overflow-wrap: anywhere; max-width: 20em; }
img { max-width: 480px; display: block; }
"""

# The table is sorted already; a click on a column's head sorts it by that column.
SCRIPT = """
document.querySelectorAll("th").forEach((head, column) => head.addEventListener("click", () => {
  const body = document.querySelector("tbody");
  const key = row => row.cells[column].dataset.key;
  const number = row => Number(key(row));
  const sign = head.dataset.sign = head.dataset.sign === "1" ? "-1" : "1";
  const rows = [...body.rows].sort((a, b) => sign * (
    isNaN(number(a)) || isNaN(number(b)) ? key(a).localeCompare(key(b)) : number(a) - number(b)));
  body.append(...rows);
}));
"""


@dataclass(frozen=True)
class Case:
    """An image of the ranking.

    Args:
        name: of the image.
        file: name of its picture, in ``pictures`` and small in ``thumbnails``.
        verdict: on its predictions.
    """

    name: str
    file: str
    verdict: Verdict


def case_picture(row: Row, verdict: Verdict, *, title: str, tile: int = 400) -> Image:
    """Draw input, ground truth in the colours of its outcomes, and predictions.

    Args:
        row: image, truth and prediction.
        verdict: on the same row.
        title: of the picture.
        tile: pixels of the longer side of each panel.

    Returns:
        (height, width, 3) in blue, green, red.
    """
    picture = resized(row.image, picture_size(row.image.shape, tile))
    truth, prediction = picture.copy(), picture.copy()
    # The lost ones last, so that nothing hides them.
    order = sorted(range(len(verdict.outcomes)), key=lambda g: OUTCOMES.index(verdict.outcomes[g]))
    colors = [OUTCOME_COLORS[verdict.outcomes[g]] for g in order]
    overlay_masks(truth, row.truth.masks[order], colors)
    overlay_masks(prediction, row.prediction.masks, neighbor_colors(row.prediction.masks))
    panels = [
        ("input", picture),
        (f"ground truth: {iou_text(verdict.mean_iou)}", truth),
        (f"{len(row.prediction.labels)} predictions", prediction),
    ]
    body = beside([titled(panel, name, tile) for name, panel in panels])
    return page([body, _outcome_key(verdict, body.shape[1])], title)


def worst_cases_page(cases: Sequence[Case], note: str) -> str:
    """The HTML page of ranked images. It opens by double click and fetches nothing from elsewhere.

    Args:
        cases: the worst first.
        note: what was run.

    Returns:
        The HTML text; every text of the arguments is escaped.
    """
    notes = [
        note,
        f"Lost: no prediction of its own has a mask IoU of {FOUND_IOU} or more with it. Of these, "
        "split: several predictions lie in it; merged: one prediction covers it and another "
        "instance. Extra: predictions that find no instance. A click on a column's head sorts.",
    ]
    names = ("rank", "image", *VERDICT_NUMBERS, "mean IoU", "picture")
    heads = "".join(f"<th>{name}</th>" for name in names)
    paragraphs = "\n".join(f"<p>{escape(text)}</p>" for text in notes)
    rows = "".join(_row(rank, case) for rank, case in enumerate(cases, start=1))
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Worst cases</title>
<style>{STYLE}</style>
</head>
<body>
<h1>Worst cases</h1>
{paragraphs}
<table>
<thead><tr>{heads}</tr></thead>
<tbody>
{rows}</tbody>
</table>
<script>{SCRIPT}</script>
</body>
</html>
"""


def _row(rank: int, case: Case) -> str:
    picture, thumbnail = (
        escape(quote(f"{folder}/{case.file}")) for folder in ("pictures", "thumbnails")
    )
    name, numbers = escape(case.name), case.verdict.numbers()
    cells = [
        f'<td data-key="{rank}">{rank}</td>',
        f'<td class="name" data-key="{name}"><a href="{picture}">{name}</a></td>',
        *(_cell(numbers[column]) for column in VERDICT_NUMBERS),
        _cell(case.verdict.mean_iou),
        f'<td data-key="{rank}"><a href="{picture}"><img src="{thumbnail}" alt="{name}" '
        'loading="lazy"></a></td>',
    ]
    return f"<tr>{''.join(cells)}</tr>\n"


def _cell(value: int | float | None) -> str:
    if value is None:
        return '<td data-key="Infinity">&ndash;</td>'
    text = f"{value:.3f}" if isinstance(value, float) else str(value)
    return f'<td data-key="{value}">{text}</td>'


def _outcome_key(verdict: Verdict, width: int) -> Image:
    """A line with every outcome's colour, name and number."""
    entries = [
        (f"{verdict.outcomes.count(name)} {name}", OUTCOME_COLORS[name]) for name in OUTCOMES
    ]
    return legend(entries, width)
