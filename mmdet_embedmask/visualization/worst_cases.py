"""Pictures and page of the images on which most went wrong (paper figure 6)."""

from collections.abc import Sequence

from ..evaluation.matching import FOUND_IOU, iou_text
from ..evaluation.verdict import OUTCOMES, Verdict
from .colors import neighbor_colors
from .html_page import Entry, html_page
from .layout import beside, page, picture_size, resized, titled
from .legend import legend
from .overlay import overlay_masks
from .sheet import Row
from .style import Color, Image

THUMBNAIL = 480
"""Width in pixels of a picture in the page's table."""

OUTCOME_COLORS: dict[str, Color] = dict(
    found=(90, 200, 60), split=(0, 150, 255), merged=(240, 60, 240), missed=(50, 50, 255)
)


def case_picture(row: Row, verdict: Verdict, title: str, tile: int = 400) -> Image:
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
    return page([body, outcome_key(verdict, body.shape[1])], title)


def worst_cases_page(cases: Sequence[tuple[str, str, Verdict]], note: str) -> str:
    """The HTML page of ranked images.

    Args:
        cases: image name, file name in ``pictures`` and ``thumbnails``, and verdict, worst first.
        note: what was run.
    """
    notes = [
        note,
        f"Lost: no prediction of its own has a mask IoU of {FOUND_IOU} or more with it. Of these, "
        "split: several predictions lie in it; merged: one prediction covers it and another "
        "instance. Extra: predictions that find no instance. A click on a column's head sorts.",
    ]
    columns = ("instances", "lost", "split", "merged", "extra", "mean IoU")
    entries = []
    for name, file, verdict in cases:
        numbers = verdict.numbers()
        values = [numbers[column] for column in columns[:-1]] + [verdict.mean_iou]
        entries.append(Entry(name, f"pictures/{file}", f"thumbnails/{file}", values))
    return html_page("Worst cases", notes, columns, entries)


def outcome_key(verdict: Verdict, width: int) -> Image:
    """A line with every outcome's colour, name and number."""
    entries = [
        (f"{verdict.outcomes.count(name)} {name}", OUTCOME_COLORS[name]) for name in OUTCOMES
    ]
    return legend(entries, width)
