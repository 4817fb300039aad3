"""A number, on made-up data: how many hours will a parcel need?"""
