"""Problems and tables that tests make up."""
