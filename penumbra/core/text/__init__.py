"""Text for people: errors in a sentence, secrets masked, values quoted, tables."""
