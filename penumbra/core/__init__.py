"""What every room shares: settings, the user's problem, tasks, encoding, histograms and metrics. No state but settings."""
