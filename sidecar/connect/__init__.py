"""How tools are led to cgw: environment variables, and the settings of each tool in its own file."""
