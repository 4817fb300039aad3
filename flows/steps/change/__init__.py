"""What a change of code does to the model: trained on a sample of the newest batches, beside the live model."""
