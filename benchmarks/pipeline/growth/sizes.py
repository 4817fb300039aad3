"""The stages, and the sizes that they are measured at: copies of months of the example."""

STAGES = ("ingest", "training", "backtest", "archive", "monitoring")
OURS = "penumbra"
SIZES = {80_789: (3, 1), 1_010_328: (12, 3), 10_103_280: (12, 30), 100_022_472: (12, 297)}
"""By number of rows: how many months, and how often each row is in it."""
MILLION_ROWS = 1_010_328
MOST_ROWS = {"training": 10_103_280, "backtest": 10_103_280}  # where matrices of more don't fit into memory
MOST_PEER_ROWS = {("monitoring", "Evidently"): MILLION_ROWS}
"""By stage and way: the size beyond which a peer isn't measured, as it takes more than ten times as long as ours."""
