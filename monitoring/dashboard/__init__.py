"""The overview page and the dashboard: cards, charts, and MLflow's and Evidently's pages beside them."""
