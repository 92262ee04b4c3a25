-- ARGV: node, text. Sends another server a text; 0 if no server listens.
return call('PUBLISH', C..'node:'..ARGV[1], ARGV[2])
