"""Yes or no, on made-up data: will a parcel be late?

Intended use: none, the data are made up. Say here who decides what by the predictions.

Not for: say here where they would mislead.

Collection: drawn at random by source.py. Say here how the rows came about, and who is missing among them.
"""
