-- ARGV: id. Returns the server that holds the identity, or an empty text.
local node = call('HGET', P..'id:'..ARGV[1], 'node')
return node and is_alive(node) and node or ''
