"""What the steps of the flows call, one package a flow."""

# Names the file that a flow which stops writes its reason to. (What begins with PENUMBRA_ would be a setting.)
REASON_VARIABLE = "FLOW_REASON_FILE"
