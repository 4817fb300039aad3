"""The shadow: candidate and previous model score logged predictions in processes of their own.

`process` runs one `role_worker` for each role. A role worker reads the `backlog` of the prediction log, sends it to its
model through `scorer_client`, and writes the results to the shadow log (penumbra/logs/shadow/shadow_log.py). The
`scorer` runs the model and decides the status of each row: ok, NaN, wrong shape or error.
"""
