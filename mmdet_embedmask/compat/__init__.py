"""The one place that knows about versions.

The environment, MMCV without compiled operations, safe loading, MMDetection's own tools.
"""
