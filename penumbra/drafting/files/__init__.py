"""The files of a first `problem/`, rendered from a draft: the text of each, as a person would have written it."""
