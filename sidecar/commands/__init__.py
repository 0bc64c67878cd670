"""What `cgw` does, one file a command or a part that commands share; `sidecar/cli.py` names them."""
