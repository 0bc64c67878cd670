"""What the dashboard sees: requests as they happen, and all that is kept of the newest."""
