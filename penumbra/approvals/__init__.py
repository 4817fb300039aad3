"""Decisions that wait for people: what waits, who answered, what follows, and who is told.

The ledger is all the state that there is. A verdict that waits has its terms in its evidence (`TERMS_KEY`), each answer
is an entry of the kind "approval", and what follows from the last one needed is written with it.
"""
