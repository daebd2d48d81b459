"""Files that take long to write: whole under their name, or there not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..files import temporary_name


@contextmanager
def named_when_finished(path: Path) -> Iterator[Path]:
    """Lend a temporary name beside a file's own, which the file gets at the end.

    Ctrl-C is an end too: it is how a user stops a recording, and what there is was asked for. After
    any other error the file stays under its temporary name, so that nothing is lost and nothing
    looks finished. No other file has the temporary name, such as ``a.unfinished-1f09b3c2.mp4``.

    Args:
        path: of the finished file; an earlier one is replaced.

    Yields:
        The temporary name, with the same suffix. Close the file before this context ends.
    """
    temporary = temporary_name(path, f"{path.stem}.unfinished-", path.suffix)
    try:
        yield temporary
    except KeyboardInterrupt:
        if temporary.exists():
            os.replace(temporary, path)
        raise
    os.replace(temporary, path)
