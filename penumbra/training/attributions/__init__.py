"""From fitted scikit-learn estimators to additive models, whose attributions are exact, and the check that they are."""
