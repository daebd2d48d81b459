import pytest
import torch

from mmdet_embedmask.functional.resize import aligned_bilinear
from mmdet_embedmask.layers import FusedTower, PlainTower

BN, GN = dict(type="BN"), dict(type="GN", num_groups=2)


def levels(sizes=((8, 12), (4, 6), (2, 3))):
    return tuple(torch.randn(2, 6, *size) for size in sizes)


def test_plain_tower_reads_the_p3_alone():
    tower, x = PlainTower(6, 4, 2, GN), levels()
    assert torch.equal(tower(x), tower.convs(x[0]))
    assert torch.equal(tower(x), tower(x[:1]))
    assert tower(x).shape == (2, 4, 8, 12)


def test_fused_tower_sums_the_refined_levels_at_the_size_of_the_finest():
    tower, x = FusedTower(6, 4, 2, BN).eval(), levels()
    fused = tower.refine[0](x[0])
    fused = fused + aligned_bilinear(tower.refine[1](x[1]), 2)
    fused = fused + aligned_bilinear(tower.refine[2](x[2]), 4)
    torch.testing.assert_close(tower(x), tower.convs(fused))


def test_convolutions_with_norm_have_no_bias_and_the_last_one_is_plain():
    tower = FusedTower(6, 4, 3, BN)
    tower.init_weights()
    for conv in (*tower.refine, *tower.convs[:-1]):
        assert conv.conv.bias is None and conv.with_norm and conv.with_activation
        fan_in = conv.conv.in_channels * 9
        # Kaiming uniform with a=1: bound = sqrt(6 / ((1 + 1) * fan_in)).
        bound = (3 / fan_in) ** 0.5
        assert 0.8 * bound < conv.conv.weight.abs().max() <= bound
    assert isinstance(tower.convs[-1], torch.nn.Conv2d)
    assert tower.convs[-1].bias.abs().max() == 0 and len(tower.convs) == 4


def test_plain_tower_starts_small_with_biases():
    tower = PlainTower(32, 32, 2, GN)
    tower.init_weights()
    assert tower.convs[0].conv.bias.abs().max() == 0
    assert tower.convs[0].conv.weight.std().item() == pytest.approx(0.01, rel=0.1)


def test_levels_that_do_not_double_are_refused():
    with pytest.raises(ValueError, match=r"level 1 .* \(4, 5\).*pad_size_divisor=32"):
        FusedTower(6, 4, 1, BN)(levels(((8, 12), (4, 5), (2, 3))))


def test_a_neck_of_two_levels_is_refused():
    with pytest.raises(ValueError, match="2 levels and the fused tower reads 3.*num_outs to 3"):
        FusedTower(6, 4, 1, BN)(levels()[:2])
