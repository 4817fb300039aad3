"""Programs that tests start by the dozen, as forks of one process that has the libraries."""
