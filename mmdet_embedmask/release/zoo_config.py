"""The config that the zoo names for a model: where it lies, and whether it is the model's."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config

from ..inputs.images import config_class_names
from ..inputs.reading import plain_transforms
from .model_zoo import FOLDER, METAFILE

NOT_THE_MODEL = ("init_cfg", "backend_args")
"""What training starts from, and how files are reached."""


def path_in_repository(config: Path) -> str:
    """Path of a config from the root of its repository, as the metafile names it.

    Args:
        config: absolute, or from the working directory.

    Raises:
        ValueError: if it does not lie below the folder of a zoo.
    """
    path = config.resolve()
    for folder in path.parents:
        if f"{folder.as_posix()}/".endswith(f"/{FOLDER}") and (folder / METAFILE).is_file():
            return path.relative_to(folder.parents[1]).as_posix()
    raise ValueError(
        f"{config} does not lie in {FOLDER} of the repository, beside {METAFILE}: the model zoo "
        "links only what does. Put the config there and give that path (--config)"
    )


def with_chosen_threshold(trained: Config, named: Config) -> Config:
    """The config of a trained model with the ``mask_thr`` of the one that the zoo will name.

    The threshold is chosen after training (``tools/threshold_sweep.py``): the checkpoint carries
    the value from before.

    Args:
        trained: that the checkpoint carries; not changed.
        named: that the zoo will name.
    """
    if any("mask_thr" not in (config.model.get("test_cfg") or {}) for config in (trained, named)):
        return trained
    chosen = trained.copy()
    chosen.merge_from_dict({"model.test_cfg.mask_thr": named.model.test_cfg.mask_thr})
    return chosen


def check_same_model(
    trained: Config, trained_classes: Sequence[str], named: Config, name: str
) -> None:
    """Check that a config is that of a trained model: network, test pipeline and classes.

    Schedule, data and what belongs to a run may differ.

    Args:
        trained: that the checkpoint carries.
        trained_classes: of the checkpoint.
        named: that the zoo will name.
        name: its path, for the message.

    Raises:
        ValueError: naming the first setting that differs.
    """
    ours = dict(_settings(_model(named, config_class_names(named))))
    theirs = dict(_settings(_model(trained, trained_classes)))
    for setting in {**theirs, **ours}:
        if setting not in ours or setting not in theirs or ours[setting] != theirs[setting]:
            raise ValueError(
                f"{name} is not the config of the checkpoint's model: {setting} is "
                f"{_shown(ours, setting)} in it and {_shown(theirs, setting)} in the checkpoint. "
                "Give the config that it was trained with (--config); if --cfg-options changed "
                f"that, write the change into a config of its own in {FOLDER}"
            )


def _model(config: Config, classes: Sequence[str]) -> dict[str, Any]:
    """What decides how a trained model predicts."""
    return dict(model=config.model, classes=classes, test_pipeline=plain_transforms(config))


def _settings(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Every single setting with its full name; tuples and lists are the same."""
    if isinstance(value, dict):
        for key, item in value.items():
            if key not in NOT_THE_MODEL:
                yield from _settings(item, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _settings(item, f"{name}[{index}]")
    else:
        yield name, value


def _shown(settings: dict[str, Any], name: str) -> str:
    return repr(settings[name]) if name in settings else "not set"
