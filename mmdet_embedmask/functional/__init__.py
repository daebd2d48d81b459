"""The paper: tensors in, tensors out. Read it with the paper beside it."""
