"""Yes or no, on made-up data: will a parcel be late?"""
