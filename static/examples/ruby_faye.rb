# A chat client with faye-websocket, Ruby's library for EventMachine: it sends each
# line that you type and prints what the others say. It takes the address of a
# server, ws://localhost:8000/ws if you give none, and needs Ruby 2.7 or newer.
#   apt install ruby ruby-faye-websocket
#   ruby ruby_faye.rb [ADDRESS]
require "eventmachine"
require "faye/websocket"
require "json"

# Shows control characters, so that no stranger controls this terminal.
def visible(text)
  text.gsub(/[\p{Cc}\u2028-\u202e\u2066-\u2069]/) { |char| format('\u%04x', char.ord) }
end

def read_lines(socket)
  while (line = $stdin.gets)
    text = line.chomp
    EM.next_tick { socket.send(text) }
  end
  EM.next_tick { socket.close(1000) }
end

$stdout.sync = true
address = ARGV.fetch(0, "ws://localhost:8000/ws")
is_open = false
trouble = ""
status = 1
EM.run do
  socket = Faye::WebSocket::Client.new(address)
  socket.on(:open) do
    is_open = true
    Thread.new { read_lines(socket) }
  end
  socket.on(:message) do |frame|
    event = JSON.parse(frame.data)
    puts visible("#{event["sender"]}: #{event["message"]}")
  end
  socket.on(:error) { |error| trouble = error.message }
  socket.on(:close) do |close|
    warn visible(is_open ? "Closed: #{close.code} #{close.reason}" : "No connection to #{address}: #{trouble}")
    status = 0 if is_open && close.code == 1000
    EM.stop
  end
end
exit status
