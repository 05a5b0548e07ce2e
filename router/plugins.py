"""Finding handlers and sinks: a module in the package is enough, there is no list to keep."""

import importlib
import inspect
import pkgutil
from typing import TypeVar

T = TypeVar("T")


def concrete_subclasses(package: str, base: type[T]) -> list[type[T]]:
    """The classes that the modules of ``package`` define and that leave nothing of ``base`` abstract."""
    modules = [
        importlib.import_module(info.name)
        for info in pkgutil.iter_modules(importlib.import_module(package).__path__, f"{package}.")
    ]
    return [
        member
        for module in modules
        for member in vars(module).values()
        if inspect.isclass(member)
        and issubclass(member, base)
        and member.__module__ == module.__name__
        and not inspect.isabstract(member)
    ]
