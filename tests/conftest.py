"""What every test shares."""

from hypothesis import settings

pytest_plugins = ["tests.support.servers"]

# Property tests try the same examples on every machine, however slow it is.
settings.register_profile("cgw", deadline=None, derandomize=True)
settings.load_profile("cgw")
