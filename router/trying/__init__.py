"""Trying rules before they count: tests beside them, why an event goes where it goes, a rehearsal on stored events.

``given`` makes events to try, ``outlook`` says what a configuration would do with one, ``explaining``, ``cases`` (the
tests) and ``rehearsing`` tell it. Nothing here sends or writes anything.
"""
