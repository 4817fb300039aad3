"""What the steps of the flows call, one package a flow."""
