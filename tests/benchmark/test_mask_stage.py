import pytest
import torch
from pycocotools import mask as coco_mask

from mmdet_embedmask.benchmark.mask_stage import MaskStage, mask_stages, time_mask_stages
from mmdet_embedmask.mask_prediction import MaskRecipe

# Of pycocotools, about its own arrays.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

STAGE = MaskStage(6, 0.05, (160, 200), (200, 320), MaskRecipe(0.5))


@pytest.mark.parametrize("area", [0.03, 0.1])
def test_objects_have_the_area_that_was_asked_for(area):
    stage = MaskStage(40, area, (320, 400), (320, 400), MaskRecipe(0.5))
    masks = mask_stages(stage)["EmbedMask"]()
    # The largest lie wholly inside the image.
    assert float(masks.float().mean(dim=(1, 2)).quantile(0.9)) == pytest.approx(area, rel=0.1)


def test_every_stage_makes_the_same_masks():
    made = {name: run() for name, run in mask_stages(STAGE).items()}
    masks = made.pop("EmbedMask")
    assert masks.any() and torch.equal(made.pop("dense definition"), masks)
    assert made.pop("EmbedMask, run lengths") == made.pop("dense definition, encoded")
    condinst = made.pop("CondInst")
    assert condinst.shape == masks.shape and condinst.dtype == torch.bool
    encoded = torch.from_numpy(coco_mask.decode(made.pop("CondInst, encoded")))
    assert torch.equal(encoded.permute(2, 0, 1).bool(), condinst)
    assert not made


def test_all_run_in_turns():
    times = time_mask_stages(STAGE, runs=2, warmup=1)
    assert list(times) == list(mask_stages(STAGE))
    assert all(len(runs) == 2 and min(runs) > 0 for runs in times.values())
