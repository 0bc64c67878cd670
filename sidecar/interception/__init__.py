"""The second door: what this process knows of the interceptor, a child with mitmproxy in it. No mitmproxy here."""
