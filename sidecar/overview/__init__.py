"""What the dashboard asks the ledger: sums, series, conversations and projects."""
