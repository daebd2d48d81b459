"""The paper: tensors in, tensors out. Read it with the paper beside it, `dense_masks` first.

Examples in docstrings see the names of their module, such as ``torch``.
"""
