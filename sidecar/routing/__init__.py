"""Which model answers a request whose choice was left to us: rules, signals, prices, decisions.

Pure values; the store beside it is `sidecar.route_memory`, the layer `addons.smart_routing`.

    subject   what may be looked at in a request, and no more than the new text of it
    findings  what the newest blocks show of trouble: failing tests, edits that failed, apologies, complaints
    rules     the table (`rules.toml`, overridden by `[routing]` in cgw.toml): conditions, lanes, points
    standing  what a conversation keeps of earlier decisions
    costs     candidates and their prices, by `sidecar.economy`
    decide    subject, standing and costs to one `Route`
    own       a router in the user's own file
"""
