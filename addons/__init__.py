"""The layers, in the order they see a request.

One file, one layer, one class. Names only: nothing here imports an addon before it is needed.
"""

BUILT_IN: tuple[str, ...] = ("addons.cache_diagnosis:CacheDiagnosis",)
"""`module:Class` of every built-in layer, first to last."""
