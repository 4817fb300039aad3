"""Candidates of a training: what is looked at before, the attempts, the choice, and the form in which one is served."""
