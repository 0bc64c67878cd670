"""The layers, in the order they see a request.

One file, one layer, one class. Names only: nothing here imports an addon before it is needed.

What answers without a new call comes before all else. Then comes what mends the frozen prefix, then what shortens
(whole results, boilerplate, long results, repeats), then what adds, and at last the cache markers on what is left.
"""

BUILT_IN: tuple[str, ...] = (
    "addons.response_cache:ResponseCache",
    "addons.coalesce:Coalesce",
    "addons.prefix_repair:PrefixRepair",
    "addons.context_pruning:ContextPruning",
    "addons.boilerplate:Boilerplate",
    "addons.size_limits:SizeLimits",
    "addons.file_references:FileReferences",
    "addons.diff_first:DiffFirst",
    "addons.prompt_cache:PromptCache",
    "addons.cache_diagnosis:CacheDiagnosis",
)
"""`module:Class` of every built-in layer, first to last."""
