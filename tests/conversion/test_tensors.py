"""Both directions of a small table, with values by hand."""

import torch
from released_checkpoints import assert_equal_weights

from mmdet_embedmask.conversion.tensors import to_ours, to_theirs

TABLE = {
    "head.conv_margin.weight": ("spatial_margin.weight", "free_margin.weight"),
    "head.scales.0.scale": ("scales.0.scale",),
    "head.bn.running_var": ("tower.1.running_var",),
    "backbone.bn1.running_var": ("stem.norm.running_var",),
}


def our_weights():
    return {
        "head.conv_margin.weight": torch.tensor([[1.0], [2.0], [3.0], [4.0], [5.0], [6.0]]),
        "head.scales.0.scale": torch.tensor(0.5),
        "head.bn.running_var": torch.tensor([7.0]),
        "head.bn.num_batches_tracked": torch.tensor(8),
        "backbone.bn1.running_var": torch.tensor([9.0]),
        "backbone.bn1.num_batches_tracked": torch.tensor(0),
    }


def their_weights():
    """Two spatial-aware channels and the rest; scales of one dimension; no backbone's counter."""
    return {
        "spatial_margin.weight": torch.tensor([[1.0], [2.0]]),
        "free_margin.weight": torch.tensor([[3.0], [4.0], [5.0], [6.0]]),
        "scales.0.scale": torch.tensor([0.5]),
        "tower.1.running_var": torch.tensor([7.0]),
        "tower.1.num_batches_tracked": torch.tensor(8),
        "stem.norm.running_var": torch.tensor([9.0]),
    }


def test_both_directions():
    assert_equal_weights(to_theirs(our_weights(), TABLE), their_weights())
    assert_equal_weights(to_ours(their_weights(), TABLE), our_weights())


def test_no_memory_is_shared():
    ours, theirs = our_weights(), their_weights()
    for value in (*to_theirs(ours, TABLE).values(), *to_ours(theirs, TABLE).values()):
        value.zero_()
    assert_equal_weights(ours, our_weights())
    assert_equal_weights(theirs, their_weights())
