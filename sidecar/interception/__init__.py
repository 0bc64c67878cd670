"""The second door: what this process knows of the interceptor, which is a child with mitmproxy in it. No mitmproxy here."""
