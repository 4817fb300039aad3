"""State that several machines share, as objects behind a URL: a folder, `s3://bucket/path`, or what else fsspec knows.

`object_store` is the access to the objects, `object_sequence` numbered objects of which each is created once, `lease` a
lock that expires, `mirror` a local folder's copy, and `state` has where everything lies.
"""
