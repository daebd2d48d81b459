"""The model itself, whatever the runner has wrapped it in."""

from mmengine.model import BaseModel, BaseTTAModel, is_model_wrapper
from mmengine.runner import Runner


def unwrapped_model(runner: Runner) -> BaseModel:
    """The detector without DistributedDataParallel, test-time augmentation or both around it."""
    model = runner.model
    while is_model_wrapper(model) or isinstance(model, BaseTTAModel):
        model = model.module
    return model
