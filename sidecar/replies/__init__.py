"""Answers that serve more than one request: which requests are equal, what is kept of an answer, and for how long."""
