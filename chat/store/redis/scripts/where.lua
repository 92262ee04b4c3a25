-- ARGV: id. The server where somebody is here under it.
local node = call('HGET', P..'id:'..ARGV[1], 'node')
return node and is_alive(node) and node or ''
