"""Fingerprints of what must not change when code moves.

python tests/helpers/fingerprints.py > before.txt, and the same of another commit: equal files are
equal to the bit. Of plain, fused, ATSS and the parts of the embedding: losses and gradients of a
step, names of weights, predictions as bitmaps and as run lengths, merged views; an exported file's
outputs; converted weights.
"""

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from exported import export_tiny, noise
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from released_checkpoints import listed_shapes, random_weights
from tiny import build_system, data_batch, total_loss, views_of

from mmdet_embedmask import EmbedMaskTTAModel
from mmdet_embedmask.conversion.official import recognize

SYSTEMS = ("both", "fused", "atss", "spatial_aware", "spatial_free", "coord_conv")
TTA = dict(nms=dict(type="nms", iou_threshold=0.6), max_per_img=10)


def digest(value: Any) -> str:
    """Of tensors, arrays and what JSON can write, and of lists and dicts of those."""
    return hashlib.sha256(b"".join(_bytes(value))).hexdigest()[:16]


def _bytes(value: Any) -> Iterator[bytes]:
    if isinstance(value, dict):
        for name in sorted(value):
            yield name.encode()
            yield from _bytes(value[name])
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _bytes(item)
    elif isinstance(value, torch.Tensor):
        yield from _bytes(value.detach().cpu().numpy())
    elif isinstance(value, np.ndarray):
        yield f"{value.dtype}{value.shape}".encode()
        yield np.ascontiguousarray(value).tobytes()
    else:
        yield value if isinstance(value, bytes) else json.dumps(value).encode()


def fingerprints() -> Iterator[tuple[str, str]]:
    """Name and digest of each."""
    for system in SYSTEMS:
        torch.manual_seed(0)
        model = build_system(system).train()
        loss, losses = total_loss(model, data_batch([3, 2]))
        loss.backward()
        yield f"{system}: losses", digest(losses)
        yield f"{system}: gradients", digest({n: p.grad for n, p in model.named_parameters()})
        yield f"{system}: names of weights", digest(list(model.state_dict()))
        model.eval()
        for mask_format in ("bitmap", "rle"):
            for head in (model.bbox_head, model.mask_head):
                head.test_cfg.mask_format = mask_format
            with torch.no_grad():
                samples = model.test_step(data_batch([2, 1], size=(61, 77)))
            found = [dict(sample.pred_instances.items()) for sample in samples]
            yield f"{system}: {mask_format}", digest(found)
            views = views_of(data_batch([2]), None, "horizontal")
            (sample,) = EmbedMaskTTAModel(model, TTA).test_step(views)
            yield (
                f"{system}: merged views, {mask_format}",
                digest(dict(sample.pred_instances.items())),
            )
    exported = export_tiny()
    names = [output.name for output in exported.session.get_outputs()]
    (image,) = exported.session.get_inputs()
    outputs = exported.session.run(names, {image.name: noise(64, 96)})
    yield "ONNX", digest(dict(zip(names, outputs, strict=True)))
    for name in ("plain", "fused", "fused_conv3"):
        official = recognize(random_weights(listed_shapes(name)))
        yield f"converted: {name}", digest(official.state_dict())


def main() -> None:
    """Print them all."""
    init_default_scope("mmdet")
    MMLogger.get_current_instance().setLevel("WARNING")
    torch.set_num_threads(1)
    for name, value in fingerprints():
        print(f"{value}  {name}")


if __name__ == "__main__":
    main()
