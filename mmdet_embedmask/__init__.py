"""EmbedMask for MMDetection 3.x."""
