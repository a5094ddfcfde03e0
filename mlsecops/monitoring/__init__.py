"""Finding in the service's log what was done to the service.

``log``        answered queries out of a log, one row each (pandas; a query for DuckDB where the log is large)
``features``   what a client did, in numbers: fresh queries, pace, variety (pandas or DuckDB, the same numbers)
``detectors``  how far a client is from people, at a false-positive rate that was measured on other clients
``windows``    all clients together: none, drift, probing or both
``rules``      what is kept of a client while its requests come in, and the rules that need no statistics
``streaming``  the detector on one client at a time, for watch
``watch``      follows the log, and raises each alert once
"""
