"""Shared fixtures: the golden figures, real data where they lie, tiny models everywhere."""

import os

import numpy as np
import pytest
import torch
from exported import ExportedDetector, export_tiny
from golden_figures import golden_arrays
from mmengine.registry import init_default_scope

# Registers our modules, and puts the stand-in for compiled MMCV in place, before mmdet.models.
import mmdet_embedmask  # noqa: F401

# Where tests run in several processes, each has its share of the cores, and what it starts too.
if workers := int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", 0)):
    threads = max((os.cpu_count() or 1) // workers, 1)
    torch.set_num_threads(threads)
    os.environ["OMP_NUM_THREADS"] = str(threads)


@pytest.fixture(autouse=True)
def _same_start() -> None:
    torch.manual_seed(0)
    # As the runner does for every config of MMDetection.
    init_default_scope("mmdet")


@pytest.fixture(scope="session")
def golden_loss() -> dict[str, np.ndarray]:
    return golden_arrays("table1_loss")


@pytest.fixture(scope="session")
def golden_head() -> dict[str, np.ndarray]:
    return golden_arrays("table1_head_dim16")


@pytest.fixture(scope="session")
def golden_head_dim8() -> dict[str, np.ndarray]:
    return golden_arrays("table1_head_dim8")


@pytest.fixture(scope="session")
def golden_lovasz() -> dict[str, np.ndarray]:
    return golden_arrays("lovasz")


@pytest.fixture(scope="session")
def golden_fused() -> dict[str, np.ndarray]:
    return golden_arrays("table2_head")


@pytest.fixture(scope="session")
def exported() -> ExportedDetector:
    """One for all tests, as exporting takes many seconds: many classes, masks cropped."""
    return export_tiny(
        bbox_head=dict(num_classes=20), test_cfg=dict(crop_to_box=True, inclusive_boxes=True)
    )
