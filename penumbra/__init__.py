"""The engine of Penumbra: everything between the data and the decision, as one installable package."""
