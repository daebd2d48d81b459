"""Checkpoints of the authors' two programs, to and from ours."""
