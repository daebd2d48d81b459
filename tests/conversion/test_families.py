"""Which program's names are closest to a network of ours."""

import pytest

from mmdet_embedmask.conversion.families import FUSED, PLAIN, identify_ours

OURS = ["bbox_head.conv_cls.weight", "mask_head.embedding_prediction.conv_spatial_aware.weight"]
REFINED = "mask_head.tower.refine.0.conv.weight"
SEMANTIC = "mask_head.semantic_branch.conv_semantic.weight"


@pytest.mark.parametrize(
    "more, family",
    [([], PLAIN), ([REFINED], FUSED), ([REFINED, SEMANTIC], FUSED), ([SEMANTIC], PLAIN)],
)
def test_a_network_that_fuses_levels_is_of_the_fused_program(more, family):
    assert identify_ours([*OURS, *more]) is family
