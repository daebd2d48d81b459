"""A repository's model zoo, as small as tests want it."""

from pathlib import Path

from mmengine.config import Config


def add_to_zoo(root: Path, name: str, config: Config) -> Path:
    """Path of a config in the zoo of the repository ``root``; both are made if need be."""
    path = root / "configs" / "embedmask" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    (root / "configs" / "embedmask" / "metafile.yml").touch()
    path.write_text(config.pretty_text)
    return path
