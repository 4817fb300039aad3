"""What batch scoring writes: the columns of the answers, their files, and where these may be."""
