"""The model itself, whatever the runner has wrapped it in."""

from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import nn


def unwrapped_model(runner: Runner) -> nn.Module:
    """The runner's model without DistributedDataParallel or another wrapper around it."""
    model = runner.model
    return model.module if is_model_wrapper(model) else model
