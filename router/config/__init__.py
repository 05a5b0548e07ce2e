"""The configuration: a YAML file -> typed, checked settings; every mistake told at once, where it is and what to write.

``check`` works through the file with the help of ``located_yaml`` (text -> values and where they stand), ``references``
(``${NAME}`` and ``{file: PATH}``) and ``settings`` (what a configuration holds); ``faults``, ``plain_words`` and
``errors`` say what is wrong with it, ``advice`` what is hardly meant. ``editor`` tells editors all of that beforehand.
"""

from router.config.advice import Seen
from router.config.check import Checked, check, load
from router.config.errors import ConfigError, ConfigErrors
from router.config.settings import Config

__all__ = ["Checked", "Config", "ConfigError", "ConfigErrors", "Seen", "check", "load"]
