import pytest

from mmdet_embedmask.options import (
    check_embed_dim,
    check_num_classes,
    check_option,
    check_pad_divisor,
    check_positive,
    check_test_cfg,
)

GOOD_TEST_CFG = dict(nms_pre=1000, score_thr=0.05, nms=dict(), max_per_img=100, mask_thr=0.52)


def test_good_values_pass():
    assert check_option("upsample", "embedding", ("probability", "embedding")) == "embedding"
    assert check_embed_dim(3) == 3
    assert check_positive("prior_margin", 0.5) == 0.5
    check_test_cfg(GOOD_TEST_CFG | dict(crop_to_box=True, min_bbox_size=0))
    check_pad_divisor(32)
    check_pad_divisor(None)
    check_num_classes(2, ("a", "b"), "CocoDataset")


def test_an_unknown_option_is_told_the_known_ones():
    with pytest.raises(ValueError, match=r"upsample='bilinear' is unknown.*'probability'"):
        check_option("upsample", "bilinear", ("probability", "embedding"))


@pytest.mark.parametrize("embed_dim", [-1, 0, 2])
def test_an_embed_dim_below_three_is_refused(embed_dim):
    with pytest.raises(ValueError, match=rf"embed_dim={embed_dim} is too small.*take 3 or more"):
        check_embed_dim(embed_dim)


@pytest.mark.parametrize("value", [0, -1.0, float("nan")])
def test_a_value_that_is_not_positive_is_refused(value):
    with pytest.raises(ValueError, match="prior_margin=.* must be greater than zero"):
        check_positive("prior_margin", value)


@pytest.mark.parametrize("mask_thr", [0.0, 1.0, -0.3, 52])
def test_a_mask_threshold_outside_its_range_is_refused(mask_thr):
    with pytest.raises(ValueError, match="mask_thr=.* between 0 and 1"):
        check_test_cfg(GOOD_TEST_CFG | dict(mask_thr=mask_thr))


@pytest.mark.parametrize("name", ["nms_pre", "max_per_img"])
@pytest.mark.parametrize("value", [-1, 0, 100.0])
def test_counts_that_would_drop_detections_are_refused(name, value):
    with pytest.raises(ValueError, match=rf"test_cfg.{name}={value} must be a whole number of at"):
        check_test_cfg(GOOD_TEST_CFG | {name: value})


def test_misspelt_and_missing_test_settings_are_named():
    with pytest.raises(ValueError, match=r"unknown keys \['mask_threshold'\].*mask_thr"):
        check_test_cfg(GOOD_TEST_CFG | dict(mask_threshold=0.5))
    with pytest.raises(ValueError, match=r"test_cfg lacks \['mask_thr', 'max_per_img'"):
        check_test_cfg({})
    with pytest.raises(ValueError, match="crop_to_box='yes' is unknown"):
        check_test_cfg(GOOD_TEST_CFG | dict(crop_to_box="yes"))


def test_classes_that_differ_name_both_sides_and_the_cure():
    with pytest.raises(
        ValueError, match=r"num_classes=80, but CocoDataset has 1 classes.*num_classes=1"
    ):
        check_num_classes(80, ("nucleus",), "CocoDataset")
    with pytest.raises(ValueError, match=r"is a string, not a tuple.*classes=\('nucleus',\)"):
        check_num_classes(1, "nucleus", "CocoDataset")


def test_padding_that_the_stride_does_not_divide_is_refused():
    with pytest.raises(ValueError, match="pad_size_divisor=1 is not a multiple.*=32"):
        check_pad_divisor(1)
