"""The detector on a GPU: the CPU's detections, masks, losses, gradients and steps."""

import copy

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import ConfigDict
from mmengine.optim import build_optim_wrapper
from on_both import check_masks, check_near, on_both, to
from pycocotools import mask as coco_mask
from tiny import SYSTEMS, build_system, data_batch, total_loss, views_of
from torch import nn

from mmdet_embedmask import EmbedMaskTTAModel
from mmdet_embedmask.inspection import inspect_batch

ALL_SYSTEMS = ("both", *SYSTEMS)

SEED = 4
"""Of weights with which no two scores of any system are nearer than this:"""

SCORE_GAP = 5e-5
"""Detections of the tests differ by more in score, so that rounding does not change their order."""

WAITS_OF_PREDICTION = 28
"""Times that the host waits for the GPU in the inference of an image, at most. Of them 2 are of the
masks (3 of run lengths), 2 of the stand-in's NMS; the others are MMDetection's: 10 to choose
candidates of five levels, 8 for NMS and small boxes, the rest to bring image and numbers there.
25 were counted on the pretended GPU."""

WAITS_OF_TRAINING = 35
"""The same of an image in a training step, loss and gradients."""

LOSS_TOLERANCE = 1e-4
AMP_TOLERANCE = 0.03
"""Relative, of losses in half precision, of which numbers have three digits."""


def detector(system, **test_cfg):
    """One whose scores and boxes differ from place to place, though it is untrained."""
    torch.manual_seed(SEED)
    model = build_system(system).eval()
    model.bbox_head.test_cfg.update(test_cfg)
    model.mask_head.test_cfg.update(test_cfg)
    head = model.bbox_head
    for name in ("conv_cls", "conv_reg", "atss_cls", "atss_reg", "rtm_cls"):
        # RTMDet's are one a level.
        for layer in nn.ModuleList([getattr(head, name, nn.Identity())]).modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.normal_(layer.weight, std=0.3)
    return model


def images(*sizes):
    """A batch without ground truth, one image of each size."""
    batches = [data_batch([0], size) for size in sizes]
    samples = [batch["data_samples"][0] for batch in batches]
    for sample in samples:
        del sample.gt_instances, sample.ignored_instances
    return dict(inputs=[batch["inputs"][0] for batch in batches], data_samples=samples)


def check_detections(found, expected):
    assert found.labels.tolist() == expected.labels.tolist()
    torch.testing.assert_close(found.scores.cpu(), expected.scores, rtol=0, atol=SCORE_GAP / 4)
    torch.testing.assert_close(found.bboxes.cpu(), expected.bboxes, rtol=1e-4, atol=1e-2)


def bitmaps(masks):
    """Masks (K, height, width) bool of either format."""
    if torch.is_tensor(masks):
        return masks
    return torch.from_numpy(coco_mask.decode(masks)).permute(2, 0, 1).bool()


@pytest.mark.parametrize("system", ALL_SYSTEMS)
def test_outputs_of_the_network_are_those_of_the_cpu(gpu, system):
    model = detector(system)
    inputs = torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        expected, found = on_both(lambda x: model.to(x.device)(x, mode="tensor"), inputs)
    outputs = [
        pair for pair in zip(found.values, expected.values, strict=True) if pair != (None, None)
    ]
    # Of five levels each, RTMDet's without center-ness; and the pixel embedding.
    assert len(outputs) == (21 if system == "rtmdet" else 26)
    for value, wanted in outputs:
        check_near(value, wanted)


@pytest.mark.parametrize(
    ("system", "mask_format"), [*((name, "bitmap") for name in ALL_SYSTEMS), ("both", "rle")]
)
def test_detections_are_those_of_the_cpu(gpu, system, mask_format):
    model = detector(system, mask_format=mask_format)
    batch = images((128, 160), (61, 77))
    with torch.no_grad():
        expected = copy.deepcopy(model.test_step(copy.deepcopy(batch)))
        found = model.to("cuda").test_step(copy.deepcopy(batch))
    shapes = []
    for one, other in zip(found, expected, strict=True):
        a, b = one.pred_instances, other.pred_instances
        gaps = b.scores[:-1] - b.scores[1:]
        assert len(b) > 8 and gaps.min() > SCORE_GAP, gaps
        assert a.bboxes.is_cuda
        check_detections(a, b)
        check_masks(bitmaps(a.masks), bitmaps(b.masks))
        shapes += [int(mask.sum()) for mask in bitmaps(b.masks)]
    assert len(set(shapes)) > 4


def test_detections_of_merged_views_are_those_of_the_cpu(gpu):
    model = detector("both")
    tta = dict(nms=dict(type="nms", iou_threshold=0.6), max_per_img=10)
    views = views_of(data_batch([2]), None, "horizontal", "vertical")
    (expected,) = EmbedMaskTTAModel(model, tta).test_step(copy.deepcopy(views))
    expected = expected.pred_instances.clone()
    for mask_format in ("bitmap", "rle"):
        model.mask_head.test_cfg.mask_format = mask_format
        (found,) = EmbedMaskTTAModel(model.to("cuda"), tta).test_step(copy.deepcopy(views))
        check_detections(found.pred_instances, expected)
        check_masks(bitmaps(found.pred_instances.masks), expected.masks)
        assert expected.masks.any()


def test_merging_waits_a_few_times_for_any_number_of_detections(gpu):
    tta = dict(nms=dict(type="nms", iou_threshold=0.6), max_per_img=10)
    waited = []
    for number in (5, 10):
        model = detector("both", max_per_img=number).to("cuda")
        views = views_of(images((128, 160)), None, "horizontal")
        with gpu.counted() as waits:
            EmbedMaskTTAModel(model, tta | dict(max_per_img=number)).test_step(views)
        waited.append(len(waits))
    assert waited[0] == waited[1] < 80


def test_what_the_network_computed_lies_on_the_gpu(gpu):
    model = detector("both").to("cuda")
    (image,) = inspect_batch(model, images((128, 160)))
    assert image.pixel_embedding.is_cuda and image.probability.is_cuda
    chosen = image.select(image.scores > image.scores[4])
    masks = chosen.masks(0.5, (61, 77))
    assert masks.is_cuda and masks.shape == (4, 61, 77)


@pytest.mark.parametrize("mask_format", ["bitmap", "rle"])
def test_the_host_waits_a_known_number_of_times_for_detections(gpu, mask_format):
    model = detector("both", mask_format=mask_format).to("cuda")
    model.test_step(images((128, 160)))
    with gpu.counted() as waits, torch.no_grad():
        model.test_step(images((128, 160), (128, 160)))
    assert 0 < len(waits) <= 2 * WAITS_OF_PREDICTION, waits


def losses_and_gradients(model, device, counts):
    loss, losses = total_loss(model.to(device), data_batch(counts))
    loss.backward()
    gradients = {name: p.grad.cpu() for name, p in model.named_parameters()}
    model.zero_grad(set_to_none=True)
    # ATSS has some losses for every level.
    values = {name: sum(v) if isinstance(v, list) else v for name, v in losses.items()}
    return {name: float(value) for name, value in values.items()}, gradients


@pytest.mark.parametrize("counts", [[3, 0], [0, 0]])
@pytest.mark.parametrize("system", ALL_SYSTEMS)
def test_losses_and_gradients_are_those_of_the_cpu(gpu, system, counts):
    model = build_system(system).train()
    weights = copy.deepcopy(model.state_dict())
    expected, expected_gradients = losses_and_gradients(model, "cpu", counts)
    # The fused tower's normalisation has learned from the batch.
    model.load_state_dict(weights)
    losses, gradients = losses_and_gradients(model, "cuda", counts)
    assert losses == pytest.approx(expected, rel=LOSS_TOLERANCE, abs=1e-6)
    for name, gradient in gradients.items():
        check_near(gradient, expected_gradients[name])


def test_the_host_waits_a_known_number_of_times_in_training(gpu):
    model = build_system("both").train().to("cuda")
    with gpu.counted() as waits:
        total_loss(model, data_batch([3, 2]))[0].backward()
    assert 0 < len(waits) <= 2 * WAITS_OF_TRAINING, waits


def three_steps(system, device, wrapper):
    torch.manual_seed(0)
    model = build_system(system).train().to(device)
    optimizer = dict(type="SGD", lr=0.002, momentum=0.9)
    options = dict(loss_scale=dict(init_scale=1.0)) if wrapper == "AmpOptimWrapper" else {}
    wrapper = build_optim_wrapper(model, dict(type=wrapper, optimizer=optimizer, **options))
    return [float(model.train_step(data_batch([3, 2]), wrapper)["loss"]) for _ in range(3)]


@pytest.mark.parametrize("system", ["both", "fused", "atss", "rtmdet"])
def test_steps_of_training_are_those_of_the_cpu(gpu, system):
    expected = three_steps(system, "cpu", "OptimWrapper")
    assert expected[2] < expected[0]
    found = three_steps(system, "cuda", "OptimWrapper")
    assert found == pytest.approx(expected, rel=10 * LOSS_TOLERANCE)


# Only a real GPU has autocast of its own; on the CPU tests/test_embed_mask.py tries bfloat16.
@pytest.mark.gpu
@pytest.mark.parametrize("system", ["both", "fused", "atss", "rtmdet"])
def test_steps_of_training_in_half_precision_are_near_those_of_the_cpu(real_gpu, system):
    expected = three_steps(system, "cpu", "OptimWrapper")
    found = three_steps(system, "cuda", "AmpOptimWrapper")
    assert found == pytest.approx(expected, rel=AMP_TOLERANCE)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("system", ALL_SYSTEMS)
def test_losses_in_half_precision_are_near_and_masks_are_predicted(real_gpu, system, dtype):
    model = build_system(system).train()
    expected, _ = total_loss(model, data_batch([3, 2]))
    model.to("cuda")
    with torch.autocast("cuda", dtype=dtype):
        loss, losses = total_loss(model, data_batch([3, 2]))
    assert losses["loss_mask"].dtype == torch.float32
    assert float(loss.detach()) == pytest.approx(float(expected.detach()), rel=AMP_TOLERANCE)
    loss.backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())
    model.eval()
    with torch.no_grad(), torch.autocast("cuda", dtype=dtype):
        (sample,) = model.test_step(images((128, 160)))
    assert sample.pred_instances.masks.shape == (10, 128, 160)


# torch.compile makes code for the device that there is.
@pytest.mark.gpu
def test_a_compiled_network_gives_the_same(real_gpu):
    model = detector("both").to("cuda")
    inputs = torch.randn(1, 3, 64, 96, device="cuda")
    with torch.no_grad():
        expected = model(inputs, mode="tensor")
        model.bbox_head.forward = torch.compile(model.bbox_head.forward)
        model.mask_head.forward = torch.compile(model.mask_head.forward)
        found = model(inputs, mode="tensor")
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_a_module_built_of_a_config_is_augmented_too(gpu):
    """As the runner builds it: the wrapper, with the detector's config in it, is moved whole."""
    model = detector("both")
    tta_cfg = dict(nms=dict(type="nms", iou_threshold=0.6), max_per_img=10)
    wrapped = MODELS.build(ConfigDict(type="EmbedMaskTTAModel", module=model, tta_cfg=tta_cfg))
    (sample,) = wrapped.to("cuda").test_step(views_of(images((128, 160)), None))
    assert sample.pred_instances.masks.is_cuda
    assert to("cpu", sample.pred_instances.masks).shape == (10, 128, 160)
