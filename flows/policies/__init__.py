"""What `backtest` is made of: the year as it was, the policies played over it, where they stand."""
