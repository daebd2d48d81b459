"""Markdown tables that are also readable as text."""

from collections.abc import Sequence


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a Markdown table whose columns are padded to equal width.

    Args:
        header: a cell for each column.
        rows: as many cells each.

    Returns:
        The table without a newline at its end.

    Raises:
        ValueError: if a row has another number of cells than the header.
    """
    for row in rows:
        if len(row) != len(header):
            raise ValueError(
                f"row {list(row)} has {len(row)} cells and the header {list(header)} has "
                f"{len(header)}: give every row a cell for each column"
            )
    cells = [[cell.replace("|", "\\|") for cell in row] for row in (header, *rows)]
    # Markdown wants at least three dashes below a header.
    widths = [max(3, *map(len, column)) for column in zip(*cells, strict=True)]
    lines = [_line(row, widths) for row in cells]
    lines.insert(1, _line(["-" * width for width in widths], widths))
    return "\n".join(lines)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
    return f"| {' | '.join(padded)} |"
