"""From a training's winner to a version that can be served: bundle, card, records, registration."""
