"""What may be wrong around a cgw, each finding with what to do: for `cgw doctor` and for the dashboard."""
