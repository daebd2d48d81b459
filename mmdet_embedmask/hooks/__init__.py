"""Hooks of MMEngine's runner."""

from .embedding_visualization_hook import EmbeddingVisualizationHook
from .setup_check_hook import SetupCheckHook

__all__ = ["EmbeddingVisualizationHook", "SetupCheckHook"]
