"""Harnesses that inject faults by the hundred: each counts what was lost, doubled, undetected or unanswered."""
