"""The nodes of the cluster, and the choice among them. Pure."""
