"""Which model answers a request whose choice was left to us: rules, signals, prices, decisions.

Pure values; the store beside it is `sidecar.route_memory`, the layer `addons.smart_routing`.

    wishes    whether routing acts on a request at all
    subject   what may be looked at in a request, and no more than the new text of it
    words     what the user wrote, without what editors write around it
    findings  what the newest blocks show of trouble: failing tests, edits that failed, apologies, complaints
    rules     the table (`rules.toml`, overridden by `[routing]` in cgw.toml): conditions, lanes, points
    literals  how its patterns are searched fast
    standing  what a conversation keeps of earlier decisions
    choices   which models may answer, what each has in its cache, and what it costs
    decide    subject, standing and choices to one `Route`
    explain   a request from a file, for `cgw route explain`
"""
