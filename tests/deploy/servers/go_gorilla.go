// Go with gorilla/websocket, its best-known library.
package main

import (
	"fmt"
	"net"
	"net/http"
	"runtime"
	"sync"

	"github.com/gorilla/websocket"
)

type event struct {
	Sender  string `json:"sender"`
	Message string `json:"message"`
}

var (
	upgrader websocket.Upgrader
	mutex    sync.Mutex
	clients  = map[*websocket.Conn]bool{}
	count    int
)

func echo(socket *websocket.Conn) {
	for {
		kind, message, err := socket.ReadMessage()
		if err != nil {
			return
		}
		socket.WriteMessage(kind, message)
	}
}

func tell(sender, message string) {
	mutex.Lock()
	defer mutex.Unlock()
	for socket := range clients {
		socket.WriteJSON(event{sender, message})
	}
}

func chat(socket *websocket.Conn) {
	mutex.Lock()
	count++
	sender := fmt.Sprintf("guest-%d", count)
	clients[socket] = true
	mutex.Unlock()
	for {
		_, message, err := socket.ReadMessage()
		if err != nil {
			break
		}
		tell(sender, string(message))
	}
	mutex.Lock()
	delete(clients, socket)
	mutex.Unlock()
	tell(sender, "Client disconnected")
}

func upgraded(serve func(*websocket.Conn)) http.HandlerFunc {
	return func(writer http.ResponseWriter, request *http.Request) {
		socket, err := upgrader.Upgrade(writer, request, nil)
		if err != nil {
			return
		}
		defer socket.Close()
		serve(socket)
	}
}

func main() {
	http.HandleFunc("/echo", upgraded(echo))
	http.HandleFunc("/chat", upgraded(chat))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port, runtime.Version())
	panic(http.Serve(listener, nil))
}
