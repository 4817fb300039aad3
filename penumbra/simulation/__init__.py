"""The loop played over history: replay through the real service, backtest of retraining policies."""
