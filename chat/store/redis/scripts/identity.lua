-- ARGV: id. Returns its hash and its name.
return call('HMGET', P..'id:'..ARGV[1], 'hash', 'name')
