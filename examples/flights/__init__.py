"""What is predicted, from what: will a flight from New York arrive late?

Intended use: to tell passengers and dispatchers, when a flight is scheduled, how likely it is to arrive more than 15
minutes late, so that connections and crews can be planned with it.

Not for: fares, compensation or the judgement of an airline; flights from other airports than EWR, JFK and LGA; anything
that is decided after departure, when more is known.

Collection: all flights that left New York in 2013 and the hourly weather at their airport, as the US Bureau of
Transportation Statistics and the weather stations reported them. Flights that were cancelled or diverted have no
outcome, so nothing was learnt from them.
"""
