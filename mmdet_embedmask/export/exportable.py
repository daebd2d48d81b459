"""What of a model's settings an ONNX file can hold."""

from mmdet.models.data_preprocessors import DetDataPreprocessor

from ..embed_mask import EmbedMask

NMS_SETTINGS = ("type", "iou_threshold", "class_agnostic")


def check_exportable(model: EmbedMask) -> None:
    """Check that the exported function computes what the model does.

    Raises:
        ValueError: naming the setting that is not exported.
    """
    preprocessor, cfg = model.data_preprocessor, model.bbox_head.test_cfg
    if type(preprocessor) is not DetDataPreprocessor:
        raise ValueError(
            f"data_preprocessor is a {type(preprocessor).__name__}: only "
            "DetDataPreprocessor, which normalises and pads, is exported"
        )
    kind = cfg.nms.get("type", "nms")
    if kind != "nms" or set(cfg.nms) - set(NMS_SETTINGS):
        raise ValueError(
            f"test_cfg.nms={dict(cfg.nms)}: only dict(type='nms', iou_threshold=...) is exported, "
            "with class_agnostic or without"
        )
