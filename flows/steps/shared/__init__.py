"""What the steps of a flow share where each works on a machine of its own."""
