-- ARGV: node, text. Tells another server something; 0 if it is not there.
return call('PUBLISH', C..'node:'..ARGV[1], ARGV[2])
