"""One of several classes, on made-up data: will a parcel be early, on time or late?"""
