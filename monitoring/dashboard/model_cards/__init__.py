"""The card of each model version, with the data sheet of what it learnt from, as Markdown and as a page."""
