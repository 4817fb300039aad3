"""A regression: how warm will it be a day from now?"""
