"""Hooks of MMEngine's runner."""

from .atomic_checkpoint_hook import AtomicCheckpointHook
from .embedding_visualization_hook import EmbeddingVisualizationHook
from .setup_check_hook import SetupCheckHook

__all__ = ["AtomicCheckpointHook", "EmbeddingVisualizationHook", "SetupCheckHook"]
