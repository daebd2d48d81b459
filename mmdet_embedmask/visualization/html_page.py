"""A page of ranked pictures that opens by double click: nothing is fetched from elsewhere."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from urllib.parse import quote

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
class Entry:
    """A row of the page.

    Args:
        name: of the image.
        picture: path of the full picture, relative to the page.
        thumbnail: path of the small one.
        values: of the columns; None: there is no such value.
    """

    name: str
    picture: str
    thumbnail: str
    values: Sequence[int | float | None]


def html_page(
    title: str, notes: Sequence[str], columns: Sequence[str], entries: Sequence[Entry]
) -> str:
    """A page with a table of pictures and numbers.

    Args:
        title: heading.
        notes: paragraphs above the table.
        columns: names of the values.
        entries: rows, in their order.

    Returns:
        The HTML text; every text of the arguments is escaped.

    Raises:
        ValueError: if an entry does not have a value a column.
    """
    rows = []
    for number, entry in enumerate(entries, start=1):
        if len(entry.values) != len(columns):
            raise ValueError(f"{entry.name}: {len(entry.values)} values, {len(columns)} columns")
        rows.append(_row(number, entry))
    heads = "".join(f"<th>{escape(name)}</th>" for name in ("rank", "image", *columns, "picture"))
    paragraphs = "\n".join(f"<p>{escape(note)}</p>" for note in notes)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{escape(title)}</title>
<style>{STYLE}</style>
</head>
<body>
<h1>{escape(title)}</h1>
{paragraphs}
<table>
<thead><tr>{heads}</tr></thead>
<tbody>
{"".join(rows)}</tbody>
</table>
<script>{SCRIPT}</script>
</body>
</html>
"""


def _row(number: int, entry: Entry) -> str:
    picture, thumbnail = (escape(quote(path)) for path in (entry.picture, entry.thumbnail))
    name = escape(entry.name)
    cells = [
        f'<td data-key="{number}">{number}</td>',
        f'<td class="name" data-key="{name}"><a href="{picture}">{name}</a></td>',
        *(_cell(value) for value in entry.values),
        f'<td data-key="{number}"><a href="{picture}"><img src="{thumbnail}" alt="{name}" '
        'loading="lazy"></a></td>',
    ]
    return f"<tr>{''.join(cells)}</tr>\n"


def _cell(value: int | float | None) -> str:
    if value is None:
        return '<td data-key="Infinity">&ndash;</td>'
    text = f"{value:.3f}" if isinstance(value, float) else str(value)
    return f'<td data-key="{value}">{text}</td>'
