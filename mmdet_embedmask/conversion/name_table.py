"""Tables that say which weights of the authors' each of ours is made of."""

NameTable = dict[str, tuple[str, ...]]
"""Our name -> theirs; several of theirs follow each other along the first dimension."""

COUNTER = "num_batches_tracked"


def affine(ours: str, *theirs: str) -> NameTable:
    """Weight and bias of a convolution or a GroupNorm."""
    return {
        f"{ours}.{kind}": tuple(f"{name}.{kind}" for name in theirs) for kind in ("weight", "bias")
    }


def weight(ours: str, theirs: str) -> NameTable:
    """Of a convolution without bias."""
    return {f"{ours}.weight": (f"{theirs}.weight",)}


def batch_norm(ours: str, theirs: str) -> NameTable:
    """Weight, bias and statistics; the counter of batches is not a weight: see `counters`."""
    return affine(ours, theirs) | {
        f"{ours}.{kind}": (f"{theirs}.{kind}",) for kind in ("running_mean", "running_var")
    }


def scales(ours: str, theirs: str, levels: int) -> NameTable:
    """One learned factor a level."""
    return {f"{ours}.{i}.scale": (f"{theirs}.{i}.scale",) for i in range(levels)}


def group_norm_tower(ours: str, theirs: str, convs: int) -> NameTable:
    """Convolutions with bias, GroupNorm and ReLU, which theirs number through."""
    table: NameTable = {}
    for i in range(convs):
        table |= affine(f"{ours}.{i}.conv", f"{theirs}.{3 * i}")
        table |= affine(f"{ours}.{i}.gn", f"{theirs}.{3 * i + 1}")
    return table


def batch_norm_convs(ours: str, theirs: str, convs: int) -> NameTable:
    """Convolutions without bias, BatchNorm and ReLU, each a block of its own in theirs."""
    table: NameTable = {}
    for i in range(convs):
        table |= weight(f"{ours}.{i}.conv", f"{theirs}.{i}.0")
        table |= batch_norm(f"{ours}.{i}.bn", f"{theirs}.{i}.1")
    return table


def fcos_head(theirs: str, centerness: str, convs: int, levels: int) -> NameTable:
    """Both towers and the box predictions, which the two programs name nearly alike."""
    return (
        group_norm_tower("bbox_head.cls_convs", f"{theirs}.cls_tower", convs)
        | group_norm_tower("bbox_head.reg_convs", f"{theirs}.bbox_tower", convs)
        | affine("bbox_head.conv_cls", f"{theirs}.cls_logits")
        | affine("bbox_head.conv_reg", f"{theirs}.bbox_pred")
        | affine("bbox_head.conv_centerness", f"{theirs}.{centerness}")
        | scales("bbox_head.scales", f"{theirs}.scales", levels)
    )


def counters(table: NameTable) -> dict[str, str]:
    """Our counters of BatchNorm's batches -> theirs, which a file of theirs may lack."""
    return {
        ours.replace("running_var", COUNTER): theirs[0].replace("running_var", COUNTER)
        for ours, theirs in table.items()
        if ours.endswith(".running_var")
    }


def their_names(table: NameTable) -> list[str]:
    """All names of theirs that a table speaks of, without counters."""
    return [name for theirs in table.values() for name in theirs]
