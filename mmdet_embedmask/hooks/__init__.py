"""Hooks of MMEngine's runner."""

from .setup_check_hook import SetupCheckHook

__all__ = ["SetupCheckHook"]
