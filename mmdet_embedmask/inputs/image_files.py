"""The image files that a user names."""

import glob
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")


def image_files(path: Path) -> list[Path]:
    """The images of a folder by name, or the one image.

    Raises:
        ValueError: if there is none.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise ValueError(f"{path} does not exist: give a folder of images, or an image")
    files = sorted(_images_below(path, recursive=False))
    if not files:
        raise ValueError(
            f"there are no images in {path}: it must hold files that end in {', '.join(SUFFIXES)} "
            "(folders inside it are not searched)"
        )
    return files


def expand_inputs(
    inputs: Sequence[str], *, recursive: bool = False, exclude: Path | None = None
) -> list[Path]:
    """The files that were asked for, each once, in the order of the inputs and then by name.

    Args:
        inputs: files, folders and patterns such as ``shots/*.jpg`` (``**``: any depth). Of a folder
            the files that look like images are taken; a file or what a pattern matches is taken
            whatever its name.
        recursive: take folders with the folders inside them.
        exclude: a folder whose files are left out unless named one by one: the output, which can
            lie inside an input.

    Returns:
        At least one file.

    Raises:
        ValueError: naming the input that gives none.
    """
    files: dict[str, Path] = {}
    for text in inputs:
        found = _expand(text, recursive)
        if exclude is not None and not Path(text).is_file():
            found = [path for path in found if not _inside(path, exclude)]
        if not found:
            raise ValueError(f"{text}: {_reason(Path(text), recursive)}")
        for path in found:
            files.setdefault(os.path.abspath(path), path)
    return list(files.values())


def _expand(text: str, recursive: bool) -> list[Path]:
    path = Path(text)
    # A name can hold the signs of a pattern: what exists is not a pattern.
    if path.is_file():
        return [path]
    if path.is_dir():
        return sorted(_images_below(path, recursive))
    return [path for path in map(Path, sorted(glob.glob(text, recursive=True))) if path.is_file()]


def _images_below(folder: Path, recursive: bool) -> Iterator[Path]:
    for path in folder.rglob("*") if recursive else folder.iterdir():
        if path.suffix.lower() in SUFFIXES and path.is_file():
            yield path


def _inside(path: Path, folder: Path) -> bool:
    return Path(os.path.abspath(path)).is_relative_to(os.path.abspath(folder))


def _reason(path: Path, recursive: bool) -> str:
    if path.is_dir():
        cure = "" if recursive else "; --recursive also searches the folders inside it"
        return f"the folder holds no file that ends in {', '.join(SUFFIXES)}{cure}"
    return "no such file or folder, and no file matches it as a pattern"
