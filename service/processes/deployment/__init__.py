"""The processes that deploy versions, and tell of them: deployer, rollback watch, notices of decisions."""
