"""The layers, in the order they see a request.

One file, one layer, one class. Names only: nothing here imports an addon before it is needed.

What answers without a new call comes before all else. Then comes the model, since all that follows asks it something:
its window, its prices, what is warm for it, whose thinking may be put back. Then comes what mends the frozen prefix,
then what shortens (whole results, boilerplate, long results) or adds, then references to what all of these leave, and
at last the cache markers.
"""

BUILT_IN: tuple[str, ...] = (
    "addons.response_cache:ResponseCache",
    "addons.coalesce:Coalesce",
    "addons.smart_routing:SmartRouting",
    "addons.effort_routing:EffortRouting",
    "addons.prefix_repair:PrefixRepair",
    "addons.context_pruning:ContextPruning",
    "addons.boilerplate:Boilerplate",
    "addons.size_limits:SizeLimits",
    "addons.diff_first:DiffFirst",
    "addons.stable_head:StableHead",
    "addons.file_references:FileReferences",
    "addons.thinking_memory:ThinkingMemory",
    "addons.prompt_cache:PromptCache",
    "addons.cache_diagnosis:CacheDiagnosis",
)
"""`module:Class` of every built-in layer, first to last."""
