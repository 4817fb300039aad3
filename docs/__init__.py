"""The documentation: Markdown pages, and the modules that build a site of them."""
