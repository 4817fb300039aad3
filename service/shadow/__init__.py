"""The shadow: candidate and previous model answer logged predictions in a process of their own."""
