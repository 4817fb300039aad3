"""Times of rows and of names of files: how they are written, and the periods that they fall into."""
