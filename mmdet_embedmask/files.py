"""Files and folders: written whole or not at all, records that are kept one by one, digests."""

import hashlib
import io
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Hashable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

UNFINISHED = ".tmp"
"""Ends the name of a file while it is written."""


def picture_name(index: int, path: Path) -> str:
    """A file name that is unique in the output folder and says which image it shows."""
    return f"{index:05d}_{path.stem}.png"


def file_identity(path: Path) -> Hashable:
    """Equal for two paths, of files or not, exactly if they lead to one file."""
    try:
        found = path.stat()
    except OSError:
        return os.path.realpath(path)
    return found.st_dev, found.st_ino


def write_png(path: Path, picture: NDArray[np.uint8]) -> None:
    """Write a picture (H, W, 3) in blue, green, red; an interrupted one does not stay.

    One of many that can be made again: it is not waited for until the disk has it.
    """
    with whole_file(path, sync=False) as file:
        file.write(cv2.imencode(".png", picture)[1].tobytes())


def write_json(path: Path, content: Any) -> None:
    """Write an indented JSON file."""
    write_bytes(path, (json.dumps(content, indent=2) + "\n").encode())


def checkpoint_bytes(checkpoint: dict[str, Any]) -> bytes:
    """The file that torch would save."""
    buffer = io.BytesIO()
    torch.save(checkpoint, buffer)
    return buffer.getvalue()


def sha256(content: bytes) -> str:
    """Hexadecimal digest."""
    return hashlib.sha256(content).hexdigest()


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file as `whole_file` does."""
    with whole_file(path) as file:
        file.write(content)


@contextmanager
def whole_file(path: Path, *, sync: bool = True) -> Iterator[BinaryIO]:
    """Open a file for writing that gets its name at the end; after an error nothing of it stays.

    If several write the same file, the last one wins.

    Args:
        path: of the file, in a folder that is made if it is missing; an earlier file is replaced.
        sync: whether content and name are on the disk at the end, so that a power cut loses
            neither.
    """
    unfinished = temporary_name(path, f"{path.name}.", UNFINISHED)
    try:
        with unfinished.open("xb") as file:
            yield file
            if sync:
                file.flush()
                os.fsync(file.fileno())
        os.replace(unfinished, path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    if sync:
        _sync_folder(path.parent)


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """A folder to write into that becomes ``target`` at the end; on an error nothing stays."""
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=".unfinished_", dir=target.parent))
    try:
        yield unfinished
        unfinished.chmod(0o755)  # mkdtemp's is private
        unfinished.rename(target)
    except BaseException:
        shutil.rmtree(unfinished)
        raise


@contextmanager
def named_when_finished(path: Path) -> Iterator[Path]:
    """Write a file under a temporary name beside its own; at the end it gets its own.

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


class JsonLines(AbstractContextManager["JsonLines"]):
    """A file of one JSON record a line; every record that was added stays, whatever comes after.

    Args:
        path: the file; an earlier one is replaced.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("w", encoding="ascii")

    def add(self, record: Mapping[str, Any]) -> None:
        """Write a record and hand it to the operating system."""
        self._file.write(json.dumps(record) + "\n")
        self._file.flush()

    def __exit__(self, *_: object) -> None:
        self._file.close()


def lines_to_json(lines: Path, path: Path) -> None:
    """Turn a file of JSON lines into one JSON list and remove it, line by line in memory.

    Args:
        lines: of `JsonLines`.
        path: written whole or not at all.
    """
    with lines.open("rb") as records, whole_file(path) as target:
        separator = b"["
        for record in records:
            target.write(separator + b"\n" + record.rstrip())
            separator = b","
        target.write(b"[]\n" if separator == b"[" else b"\n]\n")
    lines.unlink()


def temporary_name(path: Path, start: str, end: str) -> Path:
    """A name that no other file has, in a file's own folder, which is made if it is missing.

    Args:
        path: of the file.
        start: of the name.
        end: of the name.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.with_name(f"{start}{secrets.token_hex(4)}{end}")


def _sync_folder(folder: Path) -> None:
    """Let the names in a folder reach the disk, where the file system can.

    Windows opens no folders, and some mounts sync none: the file is there all the same.
    """
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
