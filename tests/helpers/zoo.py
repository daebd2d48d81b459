"""A repository's model zoo, as small as tests want it."""

from pathlib import Path

from mmengine.config import Config

from mmdet_embedmask.release.folder import ZooFacts


def add_to_zoo(root: Path, name: str, config: Config) -> Path:
    """Path of a config in the zoo of the repository ``root``; both are made if need be."""
    path = root / "configs" / "embedmask" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    (root / "configs" / "embedmask" / "metafile.yml").touch()
    path.write_text(config.pretty_text)
    return path


def zoo_facts(config: Path, **changes: str) -> ZooFacts:
    """What the zoo says of a model with this config."""
    facts = dict(dataset="COCO val2017", training_data="COCO", source="a test")
    return ZooFacts(**dict(config=str(config), url="http://host/zoo") | facts | changes)
