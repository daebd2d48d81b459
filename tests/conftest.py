"""Shared fixtures: real data and golden figures where they lie, tiny models everywhere."""

from pathlib import Path

import numpy as np
import pytest
import torch
from exported import ExportedDetector, export_tiny
from mmengine.registry import init_default_scope

# Registers our modules, and puts the stand-in for compiled MMCV in place, before mmdet.models.
import mmdet_embedmask  # noqa: F401

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(autouse=True)
def _same_start() -> None:
    torch.manual_seed(0)
    # As the runner does for every config of MMDetection.
    init_default_scope("mmdet")


def shared_file(relative: str) -> Path:
    """A file of the data folder beside the project; skips the test by name where it is absent."""
    path = SHARED / relative
    if not path.exists():
        pytest.skip(f"{relative} of the shared data folder is not here")
    return path


@pytest.fixture(scope="session")
def golden_loss() -> dict[str, np.ndarray]:
    return dict(np.load(shared_file("golden/table1_loss.npz")))


@pytest.fixture(scope="session")
def golden_head() -> dict[str, np.ndarray]:
    return dict(np.load(shared_file("golden/table1_head_dim16.npz")))


@pytest.fixture(scope="session")
def golden_head_dim8() -> dict[str, np.ndarray]:
    return dict(np.load(shared_file("golden/table1_head_dim8.npz")))


@pytest.fixture(scope="session")
def golden_lovasz() -> dict[str, np.ndarray]:
    return dict(np.load(shared_file("golden/lovasz.npz")))


@pytest.fixture(scope="session")
def golden_table2() -> dict[str, np.ndarray]:
    return dict(np.load(shared_file("golden/table2_head.npz")))


@pytest.fixture(scope="session")
def exported() -> ExportedDetector:
    """One for all tests, as exporting takes many seconds: many classes, masks cropped."""
    return export_tiny(bbox_head=dict(num_classes=20), test_cfg=dict(crop_to_box=True))
