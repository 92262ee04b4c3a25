-- The servers that are there, or were until their lease ends.
return call('ZRANGE', NODES, 0, -1)
