"""Load, for long or while workers end: what is answered, kept and labelled."""
