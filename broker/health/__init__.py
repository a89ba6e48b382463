"""The health of the cluster's nodes: probes, and the search for a node that has lost the others."""
