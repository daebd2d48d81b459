"""Predictions for files and videos: what the demo tools are made of."""
