"""Draws embeddings and coupling maps while a model is validated or tested."""

from collections.abc import Sequence
from typing import Any, get_args

import mmcv
from mmdet.registry import HOOKS
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from ..embed_mask import EmbedMask
from ..inspection import inspect_image
from ..options import check_count, check_option
from ..visualization.coupling_maps import coupling_maps
from ..visualization.embedding_view import EmbeddingPart, embedding_view, part_channels
from .unwrapped import unwrapped_model


@HOOKS.register_module()
class EmbeddingVisualizationHook(Hook):
    """Adds pictures of some validation and test images to the runner's visualizer.

    Every backend that is configured gets them (files, TensorBoard, ...), under names like
    ``val_embedding_view_0`` with the training iteration as step. Each drawn image costs another
    forward pass, in the main process only. With test-time augmentation the first view that is not
    flipped is drawn.

    Args:
        interval: one of so many images of a validation or test is drawn, the first included.
        max_images: at most so many of them.
        score_thr: detections with a lower score are left out.
        max_instances: rows of the coupling maps, the best detections.
        part: channels of the embedding that are coloured, see `embedding_view.EmbeddingPart`.
        embedding_name: name of the embedding view; None: not drawn.
        coupling_name: name of the coupling maps; None: not drawn.
    """

    def __init__(
        self,
        interval: int = 50,
        max_images: int = 4,
        *,
        score_thr: float = 0.3,
        max_instances: int = 4,
        part: EmbeddingPart = "both",
        embedding_name: str | None = "embedding_view",
        coupling_name: str | None = "coupling_maps",
    ) -> None:
        numbers = dict(interval=interval, max_images=max_images, max_instances=max_instances)
        for name, value in numbers.items():
            check_count(name, value)
        if not 0 <= score_thr <= 1:
            raise ValueError(f"score_thr={score_thr} must lie between 0 and 1")
        check_option("part", part, get_args(EmbeddingPart))
        if embedding_name is None and coupling_name is None:
            raise ValueError("embedding_name and coupling_name are both None: nothing is drawn")
        if embedding_name == coupling_name:
            raise ValueError(f"embedding_name and coupling_name are both {coupling_name!r}")
        self.interval = interval
        self.max_images = max_images
        self.score_thr = score_thr
        self.max_instances = max_instances
        self.part = part
        self.embedding_name = embedding_name
        self.coupling_name = coupling_name
        self._seen = 0

    def before_run(self, runner: Runner) -> None:
        """Check the model before anything is trained.

        Raises:
            ValueError: if it has no embeddings, or not the part that is to be coloured.
        """
        model = unwrapped_model(runner)
        if not isinstance(model, EmbedMask):
            raise ValueError(
                f"EmbeddingVisualizationHook looks inside EmbedMask, but the model is a "
                f"{type(model).__name__}: remove the hook from custom_hooks"
            )
        aware, free = model.mask_head.spatial_aware_dim, model.mask_head.spatial_free_dim
        part_channels(self.part, aware, aware + free)

    def before_val_epoch(self, runner: Runner) -> None:
        """Count this validation's images from the start."""
        self._seen = 0

    def before_test_epoch(self, runner: Runner) -> None:
        """Count this test's images from the start."""
        self._seen = 0

    def after_val_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict[str, Any] | None = None,
        outputs: Sequence[Any] | None = None,
    ) -> None:
        """Draw the images of this batch whose turn it is."""
        self._draw_batch(runner, data_batch, "val")

    def after_test_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict[str, Any] | None = None,
        outputs: Sequence[Any] | None = None,
    ) -> None:
        """Draw the images of this batch whose turn it is."""
        self._draw_batch(runner, data_batch, "test")

    def _draw_batch(self, runner: Runner, batch: dict[str, Any] | None, mode: str) -> None:
        if batch is None or not is_main_process():
            return
        batch = _one_view(batch)
        for index in range(len(batch["inputs"])):
            turn, rest = divmod(self._seen, self.interval)
            self._seen += 1
            if rest == 0 and turn < self.max_images:
                one = {key: values[index : index + 1] for key, values in batch.items()}
                self._draw_image(runner, one, f"{mode}_", turn)

    def _draw_image(self, runner: Runner, batch: dict[str, Any], prefix: str, turn: int) -> None:
        """Inspect and draw a batch of one image, and hand the pictures to the visualizer."""
        model = unwrapped_model(runner)
        inspected = inspect_image(model, batch, self.score_thr)
        path = inspected.meta.get("img_path")
        if path is None:
            raise ValueError(
                "EmbeddingVisualizationHook reads the image again, but the test pipeline does not "
                "tell where it lies: add 'img_path' to meta_keys of PackDetInputs"
            )
        image = mmcv.imread(path)
        title = f"{path.replace(chr(92), '/').rsplit('/', 1)[-1]}, iteration {runner.iter}"
        mask_thr = model.mask_head.test_cfg.mask_thr
        pictures = {}
        if self.embedding_name is not None:
            pictures[self.embedding_name] = embedding_view(
                image, inspected, mask_thr=mask_thr, title=title, part=self.part
            )
        best = range(min(self.max_instances, len(inspected.scores)))
        if self.coupling_name is not None and best:
            classes = runner.visualizer.dataset_meta["classes"]
            pictures[self.coupling_name] = coupling_maps(
                image, inspected, best, class_names=classes, mask_thr=mask_thr, title=title
            )
        for name, picture in pictures.items():
            # MMEngine's backends take red, green, blue.
            runner.visualizer.add_image(
                f"{prefix}{name}_{turn}", picture[..., ::-1].copy(), runner.iter
            )


def _one_view(batch: dict[str, Any]) -> dict[str, Any]:
    """A plain batch; of one of several views, each a list over the images, the first unflipped."""
    if not isinstance(batch["inputs"][0], list):
        return batch
    flips = [bool(images[0].get("flip")) for images in batch["data_samples"]]
    return {key: views[flips.index(min(flips))] for key, views in batch.items()}
