"""What commands about decisions print: windows, changes, reviews, approvals, the ledger."""
