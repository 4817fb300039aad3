"""What every room shares: settings, the user's problem, tasks, encoding, histograms and metrics. It keeps no state."""
