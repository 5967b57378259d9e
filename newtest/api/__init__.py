"""What ``import newtest as nt`` offers: the stages of both jobs as functions over paths, DataFrames and arrays."""
