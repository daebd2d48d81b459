"""The paper: tensors in, tensors out. Read it with the paper beside it, `dense_masks` first.

The authors have released two programs, which differ from each other, and here and there from the
paper. Here they are called plain (the results of the paper's Table 1) and fused (those of Table 2,
named for its pixel tower on P3 to P5).

Examples in docstrings see the names of their module, such as ``torch``.
"""
