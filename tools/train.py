"""Train a detector: MMDetection's own tool, with EmbedMask registered first."""

import mmdet_embedmask  # noqa: F401  (must come before MMDetection's models, see compat/)
from mmdet_embedmask.compat.mmdet_tools import run_mmdet_tool

if __name__ == "__main__":
    run_mmdet_tool("train")
