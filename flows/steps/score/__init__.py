"""What `penumbra score` and the flow of that name do: tables in files or of a query get the answers of the service."""
