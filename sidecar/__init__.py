"""The process between an editor and Claude."""

__version__ = "0.1.0"
