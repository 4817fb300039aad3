"""What the steps of the flows call, one package a flow."""

REASON_VARIABLE = "PENUMBRA_FLOW_REASON"  # names the file that a flow which stops writes its reason to
