"""Prefix repair: a client changed something old, and the prompt cache behind it need not be written again.

What was sent stays sent; what the client writes there now goes to the end as an *amendment*, from which `expand` gives
back the client's own text. Pure values.
"""
