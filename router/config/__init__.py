"""The configuration: a YAML file -> typed, checked settings; every mistake told at once, where it is and what to write.

``check`` works through the file with the help of ``located_yaml`` (text -> values and where they stand), ``references``
(``${NAME}`` and ``{file: PATH}``) and ``settings`` (what a configuration holds); ``faults``, ``plain_words`` and
``errors`` say what is wrong with it.
"""

from router.config.check import load
from router.config.errors import ConfigError, ConfigErrors
from router.config.settings import Config

__all__ = ["Config", "ConfigError", "ConfigErrors", "load"]
