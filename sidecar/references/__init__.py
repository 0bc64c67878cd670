"""Whole lines that already stand in a request become a reference to where they stand.

The first copy stays, a later one is replaced, and the request itself is all that `expand` needs to put every line back.
`numbering`, `reading` say what a line is; `index` finds runs of lines; `labels`, `marker`, `near_copies` write what
takes their place; `slots`, `authorship` say where that may happen; `reduce` and `expand` are the two directions.
"""
