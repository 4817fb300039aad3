"""What libraries do against good guesses: a test for each row of docs/libraries.md, which an upgrade may turn red."""
