"""Strangers' data files, each format read in one place, with limits on size, depth and count.

Every room calls these readers and none of the libraries behind them (a lint rule says so): ``texts``, ``jsons``,
``tomls``, ``separated`` (CSV), ``arrays`` (npy, npz), ``parquet``, ``tars``. What a library raises over somebody's
bytes becomes ``failures.Unreadable``, which is a ValueError: a room catches it, names the file and raises its own
error. One that nobody catches is still a sentence of ours. Pictures are read by ``newtest.images``, databases by
``newtest.catalog.foreign``, checkpoints by ``newtest.clip.weights``. Nothing is imported here: JSON needs no NumPy.
"""
