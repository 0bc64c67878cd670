"""Money: prices, what a finished exchange cost and would have cost, and the books it is written into."""
