"""Evaluations beyond what MMEngine's test loop does."""
