-- ARGV: id. Its hash and name.
return call('HMGET', P..'id:'..ARGV[1], 'hash', 'name')
