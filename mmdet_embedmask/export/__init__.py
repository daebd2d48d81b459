"""EmbedMask as an ONNX file."""
