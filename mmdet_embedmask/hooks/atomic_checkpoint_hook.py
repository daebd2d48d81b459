"""Checkpoints that a killed run cannot spoil."""

from pathlib import Path
from typing import Any

from mmdet.registry import HOOKS
from mmengine.dist import is_main_process
from mmengine.fileio import LocalBackend, register_backend
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner

from ..files import UNFINISHED, write_bytes

BACKEND = "atomic_local"
LAST = "last_checkpoint"


class AtomicLocalBackend(LocalBackend):
    """Local files that are written whole or not at all."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write a file; until it is complete, readers find what was there before."""
        write_bytes(Path(filepath), obj)


register_backend(BACKEND, AtomicLocalBackend, force=True)


class _RemovesLater:
    """A file backend that only notes what is to be removed.

    Args:
        backend: does everything else.
    """

    def __init__(self, backend: Any) -> None:
        self.backend = backend
        self.outdated: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.backend, name)

    def remove(self, path: str) -> None:
        self.outdated.append(path)

    rmtree = remove


@HOOKS.register_module()
class AtomicCheckpointHook(CheckpointHook):
    """MMEngine's hook, for runs that may be killed at any time.

    MMEngine writes checkpoints in place and removes the oldest before it writes the newest: a run
    that is killed meanwhile leaves half a file, with ``max_keep_ckpts=1`` as the only one. Here a
    checkpoint is written beside its place and moved there, then `last_checkpoint` names it, and
    only then the oldest is removed. With ``save_best``, the former best one goes last, too.

    One run a folder: a run that starts removes whatever is unfinished there, also what another run
    is just writing.

    Args:
        **args: those of MMEngine's CheckpointHook. With ``backend_args``, or an ``out_dir`` that is
            not a local folder, checkpoints are written as that backend writes them.

    Raises:
        TypeError: for an argument that the hook does not know, which MMEngine would find out at
            the first checkpoint.
    """

    # Of MMEngine's hook.
    backend_args: dict[str, Any] | None
    file_backend: Any

    def __init__(self, **args: Any) -> None:
        super().__init__(**args)
        if self.args:
            raise TypeError(f"{type(self).__name__} has no arguments {sorted(self.args)}")

    def before_train(self, runner: Runner) -> None:
        """Choose the backend, and remove what a killed run left unfinished."""
        local = "://" not in str(self.out_dir or runner.work_dir)
        if local and self.backend_args is None and self.file_client_args is None:
            self.backend_args = dict(backend=BACKEND)
        super().before_train(runner)
        if local and is_main_process():
            left = [
                *Path(self.out_dir).glob(f"*.pth*{UNFINISHED}"),
                *Path(runner.work_dir).glob(f"{LAST}.*{UNFINISHED}"),
            ]
            for unfinished in left:
                unfinished.unlink(missing_ok=True)

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict[str, Any]) -> None:
        """Write a checkpoint, name it in `last_checkpoint`, remove the oldest: in this order."""
        outdated = self._remember(runner, step)
        name = self.filename_tmpl.format(step)
        self.last_ckpt = self.file_backend.join_path(self.out_dir, name)
        runner.message_hub.update_info("last_ckpt", self.last_ckpt)
        runner.save_checkpoint(
            self.out_dir,
            name,
            self.file_client_args,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=self.by_epoch,
            backend_args=self.backend_args,
        )
        if is_main_process():
            write_bytes(Path(runner.work_dir) / LAST, self.last_ckpt.encode())
            if outdated is not None:
                name = self.filename_tmpl.format(outdated)
                self._remove(self.file_backend.join_path(self.out_dir, name))

    def _save_best_checkpoint(self, runner: Runner, metrics: dict[str, Any]) -> None:
        """Write the new best checkpoints, then remove those that they replace."""
        if not self.save_best:  # nor is there a backend, unless the run trains
            return
        backend, later = self.file_backend, _RemovesLater(self.file_backend)
        self.file_backend = later
        try:
            super()._save_best_checkpoint(runner, metrics)
        finally:
            self.file_backend = backend
        # MMEngine names one best checkpoint in one place, several in the other.
        best = getattr(self, "best_ckpt_path_dict", {}).values()
        for path in {*later.outdated} - {*best, getattr(self, "best_ckpt_path", None)}:
            self._remove(path)

    def _remember(self, runner: Runner, step: int) -> int | None:
        """Note that a step's checkpoint is kept; return the step whose checkpoint goes, if any."""
        # A new best score saves the step's checkpoint again.
        if self.max_keep_ckpts <= 0 or (self.keep_ckpt_ids and self.keep_ckpt_ids[-1] == step):
            return None
        full = len(self.keep_ckpt_ids) == self.max_keep_ckpts
        outdated: int | None = self.keep_ckpt_ids.popleft() if full else None
        self.keep_ckpt_ids.append(step)
        runner.message_hub.update_info("keep_ckpt_ids", list(self.keep_ckpt_ids))
        return outdated

    def _remove(self, path: str) -> None:
        """Remove a checkpoint, which the user may have removed or moved before."""
        if self.file_backend.isfile(path):
            self.file_backend.remove(path)
        elif self.file_backend.isdir(path):  # as DeepSpeed saves it
            self.file_backend.rmtree(path)
