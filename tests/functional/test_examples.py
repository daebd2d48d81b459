"""Every public name of the method has an example in its docstring, and the examples are right."""

import doctest
import importlib
import inspect
import pkgutil

import pytest

import mmdet_embedmask.functional as functional
from mmdet_embedmask import losses

MODULES = [
    losses,
    *(
        importlib.import_module(f"{functional.__name__}.{module.name}")
        for module in pkgutil.iter_modules(functional.__path__)
    ),
]
IDS = [module.__name__.rpartition(".")[2] for module in MODULES]


@pytest.mark.parametrize("module", MODULES, ids=IDS)
def test_examples_are_right(module):
    result = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.attempted > 0 and result.failed == 0


@pytest.mark.parametrize("module", MODULES, ids=IDS)
def test_every_public_name_has_an_example(module):
    public = [
        (name, value)
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", "") == module.__name__
        if inspect.isfunction(value) or inspect.isclass(value)
    ]
    without = [name for name, value in public if ">>>" not in (inspect.getdoc(value) or "")]
    assert public and not without
