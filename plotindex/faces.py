"""Faces of packages that load their names when these are first used: a command imports only what it needs."""

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from types import ModuleType


def lazy_names(package: str, modules: Mapping[str, str]) -> Callable[[str], object]:
    """The `__getattr__` of a package (PEP 562); `modules` are its modules with their names, separated by blanks.

    The face also imports these names if TYPE_CHECKING, and lists them in `__all__`.
    """
    module_of = {name: module for module, names in modules.items() for name in names.split()}
    face = sys.modules[package]
    face.__class__ = _Face

    def load(name: str) -> object:
        if name not in module_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        found: object = getattr(import_module(f"{package}.{module_of[name]}"), name)
        setattr(face, name, found)
        return found

    return load


class _Face(ModuleType):
    def __setattr__(self, name: str, value: object) -> None:
        # An import stores the module in its package: it must not hide a name of the face, as index.reconcile would.
        is_hiding = isinstance(value, ModuleType) and name in vars(self).get("__all__", ())
        super().__setattr__(name, getattr(value, name) if is_hiding else value)
