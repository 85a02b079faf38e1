"""Several boards as one device, on Dask distributed (the extra ``cluster``).

A worker process opens one board (:mod:`winogen.cluster.worker`); :class:`winogen.cluster.cluster.
Cluster` gives pieces of a call to all of them, and puts the images in order.
"""
