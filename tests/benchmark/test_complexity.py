import json
from math import prod

import pytest
import torch
from tiny import build_model
from torch import nn

from mmdet_embedmask.benchmark.complexity import analyze, count_parameters

SIZE = 100, 150  # padded to 128 x 160
CELLS = 16 * 20  # of P3


@pytest.fixture(scope="module")
def model():
    return build_model().eval()


@pytest.fixture(scope="module")
def complexity(model):
    return analyze("tiny", model, *SIZE)


def test_the_pixel_head_has_what_is_counted_by_hand(complexity):
    # One tower convolution of 16 channels, then 2 + 3 embedding channels; one position scale.
    tower, embedding = 3 * 3 * 16 * 16, 3 * 3 * 16 * 5
    assert complexity.flops["pixel head"] == CELLS * (tower + embedding) + 5 * CELLS * 16
    assert complexity.parameters["pixel head"] == (tower + 16) + (16 + 16) + (embedding + 5) + 1


def test_the_whole_network_has_what_hooks_count(model, complexity):
    counted = {nn.Conv2d: 0, nn.GroupNorm: 0}

    def count(module, _, output):
        each = prod(module.weight.shape[1:]) if isinstance(module, nn.Conv2d) else 5
        counted[type(module)] += output.numel() * each

    layers = [m for m in model.modules() if type(m) in counted]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    with torch.no_grad():
        model(torch.zeros(1, 3, *complexity.padded_size))
    for hook in hooks:
        hook.remove()
    assert complexity.padded_size == (128, 160)
    assert complexity.multiply_adds == counted[nn.Conv2d]
    # The neck resizes P5 to P4 and P4 to P3.
    resized = 16 * (CELLS // 4 + CELLS)
    assert sum(complexity.flops.values()) == sum(counted.values()) + resized


def test_every_parameter_is_in_one_part(model, complexity):
    assert sum(complexity.parameters.values()) == sum(p.numel() for p in model.parameters())
    assert complexity.training_only == 0


def test_training_only_parts_are_apart_and_do_not_run(complexity):
    branch = dict(type="SemanticBranch", num_classes=3, feat_channels=8)
    model = build_model(mask_head=dict(semantic_branch=branch)).eval()
    parameters, training_only = count_parameters(model)
    assert parameters == complexity.parameters
    convolutions, norms, classes = 3 * 3 * 16 * 8 + 3 * 3 * 8 * 8, 2 * (8 + 8), 8 * 3 + 3
    assert training_only == convolutions + norms + classes
    assert analyze("tiny", model, *SIZE).flops == complexity.flops


def test_json_has_the_totals(complexity):
    content = json.loads(json.dumps(complexity.to_json()))
    assert content["total_parameters"] == sum(content["parameters"].values())
    assert content["total_flops"] == sum(content["flops"].values())
    assert content["image_size"] == [100, 150] and content["padded_size"] == [128, 160]
