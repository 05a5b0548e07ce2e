"""Templates: texts that say with ``{{ candidate.name }}`` where fields of an event go.

The language is that part of Jinja that only shows: fields, ``if``, ``for`` and filters. `language` refuses everything
else, with every name that no event has, when the configuration is loaded; rendering then never fails, as `filters` make
something of any value. `compiled` has the rest: for each target values are escaped in their own way.
"""

from router.templates.compiled import HTML, PLAIN, People, Target, Template, compiled, filled, is_template, texts_in
from router.templates.filters import is_web_address
from router.templates.language import Asked, BadTemplate

__all__ = [
    "HTML",
    "PLAIN",
    "Asked",
    "BadTemplate",
    "People",
    "Target",
    "Template",
    "compiled",
    "filled",
    "is_template",
    "is_web_address",
    "texts_in",
]
