"""Projects: from a clone or a team's own data to a served model, the command line and the tests."""
