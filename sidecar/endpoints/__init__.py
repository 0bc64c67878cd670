"""What is served, one file a dialect: from a request to its answer. Each has `endpoints()`: rows for the listener."""
