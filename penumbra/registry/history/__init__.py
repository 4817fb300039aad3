"""The ledger of promotions and rollbacks: on one machine, or shared by several."""
