-- ARGV: room, node, frame in base64.
call('PUBLISH', C..'turn:'..ARGV[1], 'draw '..ARGV[2]..' '..ARGV[3])
