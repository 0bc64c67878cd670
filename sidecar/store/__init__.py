"""What is kept from one request to the next: bytes by key, on this machine's disk or in a Redis that a team shares."""
