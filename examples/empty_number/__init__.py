"""A number, on made-up data: how many hours will a parcel need?

Intended use: none, the data are made up. Say here who decides what by the predictions.

Not for: say here where they would mislead.

Collection: drawn at random by source.py. Say here how the rows came about, and who is missing among them.
"""
