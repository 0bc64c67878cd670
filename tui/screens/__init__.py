"""What lies over a view for a while: details and questions."""
