"""Weights that cannot be converted, and what is said of them."""

import pytest
import torch
from mmengine.config import Config
from released_checkpoints import tiny_config, tiny_network

from mmdet_embedmask.conversion.errors import ConversionError
from mmdet_embedmask.conversion.official import recognize, to_official
from mmdet_embedmask.conversion.our_checkpoint import default_config, our_checkpoint

PLAIN = "released/embedmask_r50_fpn_1x_coco_released.py"
FUSED = "embedmask_fused_r50_fpn_ms-1x_coco.py"
CONV3 = "released/embedmask_fused-conv3_r50_fpn_ms-1x_coco.py"


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    """Of each config: its file, weights by our names, weights by theirs."""
    made = {}
    for base in (PLAIN, FUSED, CONV3):
        config = tiny_config(tmp_path_factory.mktemp("configs"), base)
        made[base] = config, *tiny_network(config)
    return made


def convert(theirs, config):
    return our_checkpoint(recognize(theirs), Config.fromfile(config), config.name, "digest")


@pytest.mark.parametrize("base, family", [(PLAIN, "plain"), (FUSED, "fused")])
def test_unknown_names_are_listed_and_counted(networks, base, family):
    config, _, theirs = networks[base]
    extra = {f"head.extra{i}": torch.rand(1) for i in range(7)}
    message = (
        f"a {family} one .*has unknown head.extra0, head.extra1, head.extra2, head.extra3, "
        r"head.extra4, \.\.\. \(7 in all\)"
    )
    with pytest.raises(ConversionError, match=message):
        convert(theirs | extra, config)


@pytest.mark.parametrize(
    "base, name",
    [
        (PLAIN, "rpn.head.bbox_tower.4.bias"),
        (PLAIN, "backbone.body.layer3.2.bn2.running_var"),
        (PLAIN, "rpn.head.position_scale.scale"),
        (PLAIN, "rpn.head.margin_scales.3.scale"),
        (PLAIN, "rpn.head.proposal_margin_pred.weight"),
        (FUSED, "proposal_head.free_margin_head.bias"),
        (FUSED, "backbone.bottom_up.res4.2.conv2.norm.weight"),
        (FUSED, "mask_branch.logits.weight"),
        (FUSED, "backbone.top_block.p7.bias"),
    ],
)
def test_a_missing_name_is_told(networks, base, name):
    _, _, theirs = networks[base]
    with pytest.raises(ConversionError, match=rf"lacks {name} \(1\)"):
        recognize({n: value for n, value in theirs.items() if n != name})


def test_without_a_semantic_branch_the_config_lacks_its_weights(networks):
    config, _, theirs = networks[FUSED]
    theirs = {n: v for n, v in theirs.items() if "seg_head" not in n and "logits" not in n[:18]}
    assert not any("mask_branch.logits" in name for name in theirs)
    with pytest.raises(ConversionError, match=r"compared with tiny\.py, lacks mask_branch\.seg_he"):
        convert(theirs, config)


@pytest.mark.parametrize("base", [PLAIN, FUSED])
def test_a_wrong_shape_is_told_with_the_right_one(networks, base):
    config, _, theirs = networks[base]
    name = next(n for n in theirs if n.endswith("bbox_pred.weight"))
    theirs = theirs | {name: torch.rand(4, 33, 3, 3)}
    message = rf"{name} is \(4, 33, 3, 3\) and must be \(4, 32, 3, 3\)"
    with pytest.raises(ConversionError, match=message):
        convert(theirs, config)


def test_a_scale_must_have_its_one_dimension(networks):
    config, _, theirs = networks[PLAIN]
    theirs = theirs | {"rpn.head.position_scale.scale": torch.tensor(1.0)}
    with pytest.raises(ConversionError, match=r"position_scale.scale is \(\) and must be \(1,\)"):
        convert(theirs, config)


def test_whole_numbers_are_no_weights(networks):
    config, _, theirs = networks[PLAIN]
    theirs = theirs | {"rpn.head.bbox_pred.bias": torch.zeros(4, dtype=torch.int64)}
    with pytest.raises(ConversionError, match="bbox_pred.bias holds torch.int64"):
        convert(theirs, config)


@pytest.mark.parametrize("base", [PLAIN, FUSED])
def test_another_number_of_classes_is_told_with_the_option_to_set(networks, base):
    config, _, theirs = networks[base]
    wrong = {
        n: value[:20] if "cls_logits" in n or "mask_branch.logits" in n else value
        for n, value in theirs.items()
    }
    message = (
        r"predicts 20 classes and the network of tiny\.py 80: .*model\.bbox_head\.num_classes=20"
    )
    with pytest.raises(ConversionError, match=message):
        convert(wrong, config)


def test_classes_must_have_names(networks, tmp_path):
    config = tiny_config(tmp_path, PLAIN, bbox_head=dict(num_classes=20))
    theirs = tiny_network(config)[1]
    with pytest.raises(ConversionError, match=r"tiny\.py: bbox_head\.num_classes=20, but CocoDat"):
        convert(theirs, config)


@pytest.mark.parametrize(
    "names, what",
    [
        (["conv1.weight", "layer1.0.conv1.weight", "fc.weight"], "a ResNet without heads"),
        (
            ["backbone.bottom_up.stem.conv1.weight", "proposal_generator.fcos_head.cls_logits.bias"]
            + ["mask_head.controller.weight", "mask_branch.refine.0.0.weight"],
            "another detector of the detectron2 family, such as FCOS, CondInst or BlendMask",
        ),
        (
            ["backbone.bottom_up.stem.conv1.weight", "roi_heads.box_head.fc1.weight"],
            "another detector of the detectron2 family",
        ),
        (
            ["backbone.body.stem.conv1.weight", "rpn.head.cls_tower.0.weight"],
            "another detector of the maskrcnn-benchmark family, such as FCOS",
        ),
        (["backbone.conv1.weight", "bbox_head.conv_cls.weight"], "another detector of MMDetection"),
        (["encoder.weight"], "no detector that is known here"),
    ],
)
def test_weights_of_other_projects_are_recognised(names, what):
    with pytest.raises(ConversionError, match=f"this is {what}, not an EmbedMask.*{names[-1]}"):
        recognize({name: torch.rand(1) for name in names})


def test_our_own_weights_need_no_conversion(networks):
    with pytest.raises(ConversionError, match="is an EmbedMask of this package already"):
        recognize(networks[PLAIN][1])


def test_a_config_of_the_other_program_is_refused(networks):
    with pytest.raises(ConversionError, match=r"is a plain one and tiny\.py a fused network"):
        convert(networks[PLAIN][2], networks[FUSED][0])


def test_a_config_of_the_other_variant_is_refused(networks):
    with pytest.raises(ConversionError, match=r"tiny\.py, lacks proposal_head\.embed_conv\.weight"):
        convert(networks[CONV3][2], networks[FUSED][0])
    with pytest.raises(ConversionError, match=r"has unknown .*proposal_head\.embed_conv\.weight"):
        convert(networks[FUSED][2], networks[CONV3][0])


def test_a_depth_without_a_config_asks_for_one(networks, tmp_path):
    _, _, theirs = networks[PLAIN]
    shallow = {n: value for n, value in theirs.items() if "layer3.5." not in n}
    with pytest.raises(ConversionError, match=r"has \(3, 4, 5, 3\) blocks: .*--config"):
        default_config(tmp_path, recognize(shallow))
    with pytest.raises(ConversionError, match="is not there: give it with --config"):
        default_config(tmp_path, recognize(theirs))


def test_a_reduce_factor_is_of_the_plain_program_alone(networks):
    with pytest.raises(ConversionError, match="--embed-reduce-factor 2 belongs to the plain"):
        recognize(networks[FUSED][2], embed_reduce_factor=2.0)


@pytest.mark.parametrize(
    "options, message",
    [
        (dict(bbox_head=dict(learnable_margin=False)), "lacks .*conv_margin.weight"),
        (dict(bbox_head=dict(reduce_channels=8)), "has unknown .*reduce_embedding.weight"),
        (dict(mask_head=dict(learnable_position_scale=False)), "lacks .*position_scale.scale"),
    ],
)
def test_options_that_their_program_lacks_are_refused(tmp_path, options, message):
    config = tiny_config(tmp_path, PLAIN, **options)
    with pytest.raises(ConversionError, match=f"(?s)the checkpoint {message}.*no such options"):
        tiny_network(config)


def test_only_an_embed_mask_goes_back(networks):
    with pytest.raises(ConversionError, match="not an EmbedMask of this package"):
        to_official({"backbone.conv1.weight": torch.rand(1)})
    with pytest.raises(ConversionError, match="not an EmbedMask of this package"):
        to_official(networks[PLAIN][2])
