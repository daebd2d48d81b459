"""Which program's names are closest to a network of ours."""

import pytest

from mmdet_embedmask.conversion.families import TABLE1, TABLE2, identify_ours

OURS = ["bbox_head.conv_cls.weight", "mask_head.embedding_prediction.conv_spatial_aware.weight"]
FUSED = "mask_head.tower.refine.0.conv.weight"
SEMANTIC = "mask_head.semantic_branch.conv_semantic.weight"


@pytest.mark.parametrize(
    "more, family",
    [([], TABLE1), ([FUSED], TABLE2), ([FUSED, SEMANTIC], TABLE2), ([SEMANTIC], TABLE1)],
)
def test_levels_are_fused_in_table_2_alone(more, family):
    assert identify_ours([*OURS, *more]) is family
