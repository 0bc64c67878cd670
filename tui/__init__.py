"""The terminal dashboard. It knows the sidecar only through HTTP."""
