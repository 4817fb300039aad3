"""The processes beside the service: deployer, indexer, archiver, and their supervisor."""
