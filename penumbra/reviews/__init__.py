"""Reviews: rows that people look at, how they are picked, what people answer, and what that is worth."""
