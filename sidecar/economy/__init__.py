"""What a decision costs and saves: the one price function that every layer asks.

Pure arithmetic over the price table, the warm prefix, idle time, lifetimes and the expected number of further requests.
Every answer is a frozen value that holds its numbers; `str()` of it is one line for a reader. Money is integer
pico-dollars, chances are exact fractions, lengths are tokens, times are seconds.

Units in the formulas (after Anthropic's documentation of prompt caching): a token written to the cache costs w times
the input price (5/4 for five minutes, 2 for an hour), a token read r times (1/10, 1/20 or 1/40 by model).

    edits        does leaving something out pay, and how large should a cut of old history be
    warmth       what is in the prompt cache now, from what went upstream
    lifetimes    five minutes or an hour, for the tail and for the head; whether an hour is what it is billed as
    breakpoints  where the at most four cache markers go
    keeping_warm is it worth to keep a cache over a pause
    switching    what another model costs while one model's cache is warm
"""
