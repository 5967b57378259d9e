"""From sets and predictions to k of n."""
