"""The page of approvals: what waits for people, the evidence for it, and where they answer."""
