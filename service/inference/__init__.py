"""From a record to an answer: the live model, rules, fallback, prediction log."""
