"""Flows as workflows of Argo: what Metaflow is told of the cluster, and the manifests that it makes."""
