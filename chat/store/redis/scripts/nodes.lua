-- Returns the servers that are running, or whose lease was not ended yet.
return call('ZRANGE', NODES, 0, -1)
