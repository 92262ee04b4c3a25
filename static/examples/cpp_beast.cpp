// A chat client with Boost.Beast, and Boost.JSON to read what comes: it sends each
// line that you type and prints what the others say. It takes the address of a
// server, ws://localhost:8000/ws if you give none, and needs C++17 and Boost 1.75
// or newer. For wss:// it would need Beast's ssl_stream as well.
//   apt install g++ libboost1.81-dev
//   g++ -std=c++17 -o chat_cpp cpp_beast.cpp && ./chat_cpp [ADDRESS]
#include <boost/asio.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/websocket.hpp>
#include <boost/json/src.hpp>
#include <cstdio>
#include <future>
#include <iostream>
#include <regex>
#include <string>
#include <thread>

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace websocket = beast::websocket;
using Socket = websocket::stream<asio::ip::tcp::socket>;

// Shows control characters, so that no stranger controls this terminal. In
// UTF-8 these have one byte, or two that begin with C2, or three that begin with E2.
std::string visible(std::string_view text) {
  std::string shown;
  for (size_t i = 0; i < text.size(); i++) {
    auto byte = [&](size_t n) { return i + n < text.size() ? static_cast<unsigned char>(text[i + n]) : 0; };
    unsigned point = 0x20, size = 1;
    if (byte(0) < 0x20 || byte(0) == 0x7f) point = byte(0);
    else if (byte(0) == 0xc2) point = byte(1), size = 2;
    else if (byte(0) == 0xe2) point = 0x2000 | (byte(1) & 0x3f) << 6 | (byte(2) & 0x3f), size = 3;
    bool isControl = point < 0x20 || (point >= 0x7f && point <= 0x9f) ||
                     (point >= 0x2028 && point <= 0x202e) || (point >= 0x2066 && point <= 0x2069);
    char escaped[16];
    std::snprintf(escaped, sizeof escaped, "\\u%04x", point);
    shown += isControl ? escaped : text.substr(i, size);
    i += size - 1;
  }
  return shown;
}

// Without waiting for the thread that waits for the next line.
[[noreturn]] void end(int status, const std::string& text) {
  std::cerr << visible(text) << std::endl;
  std::_Exit(status);
}

void connect(asio::io_context& io, Socket& socket, const std::string& address) {
  std::smatch parts;
  if (!std::regex_match(address, parts, std::regex(R"(ws://(\[[^\]]+\]|[^:/]+)(:\d+)?(/.*))"))) {
    throw std::runtime_error("an address looks like this: ws://HOST:PORT/ws");
  }
  std::string host = parts[1], port = parts[2].matched ? parts[2].str().substr(1) : "80";
  std::string name = host[0] == '[' ? host.substr(1, host.size() - 2) : host;
  asio::connect(socket.next_layer(), asio::ip::tcp::resolver(io).resolve(name, port));
  websocket::response_type answer;
  beast::error_code error;
  socket.handshake(answer, host + ":" + port, parts[3].str(), error);
  if (error == websocket::error::upgrade_declined) {
    std::string why = answer.body().substr(0, answer.body().find('\n'));
    throw std::runtime_error(std::to_string(answer.result_int()) + " " + why);
  }
  if (error) throw beast::system_error(error);
}

[[noreturn]] void closed(Socket& socket, beast::error_code error) {
  if (error != websocket::error::closed) end(1, "Closed: " + error.message());
  int code = socket.reason().code;
  std::string reason = socket.reason().reason.c_str();
  end(code == websocket::close_code::normal ? 0 : 1, "Closed: " + std::to_string(code) + " " + reason);
}

// Prints one event and waits for the next.
void listen(Socket& socket, beast::flat_buffer& frame) {
  socket.async_read(frame, [&](beast::error_code error, size_t) {
    if (error) closed(socket, error);
    auto event = boost::json::parse(beast::buffers_to_string(frame.data()));
    std::string sender(event.at("sender").as_string()), message(event.at("message").as_string());
    std::cout << visible(sender + ": " + message) << std::endl;
    frame.clear();
    listen(socket, frame);
  });
}

// Runs on a thread of its own. The socket belongs to the other one, so each line is
// handed over to that, and waited for.
void talk(asio::io_context& io, Socket& socket) {
  for (std::string line; std::getline(std::cin, line);) {
    std::promise<void> said;
    asio::post(io, [&] {
      // An error is told by the reader.
      socket.async_write(asio::buffer(line), [&](beast::error_code, size_t) { said.set_value(); });
    });
    said.get_future().wait();
  }
  asio::post(io, [&] {
    socket.async_close(websocket::close_code::normal, [&](beast::error_code error) {
      closed(socket, error ? error : websocket::error::closed);
    });
  });
}

int main(int argc, char* argv[]) {
  std::string address = argc > 1 ? argv[1] : "ws://localhost:8000/ws";
  asio::io_context io;
  Socket socket(io);
  try {
    connect(io, socket, address);
  } catch (const std::exception& error) {
    end(1, "No connection to " + address + ": " + error.what());
  }
  beast::flat_buffer frame;
  listen(socket, frame);
  std::thread(talk, std::ref(io), std::ref(socket)).detach();
  io.run();
}
