"""Scores computed from the vectors or scores that a pool has: negCLIPLoss, NormSim, and ranks brought together."""
