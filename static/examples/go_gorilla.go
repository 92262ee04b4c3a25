// A chat client with gorilla/websocket, Go's best-known library: it sends each line
// that you type and prints what the others say. It takes the address of a server,
// ws://localhost:8000/ws if you give none, and needs Go 1.19 or newer.
//
//	apt install golang-go golang-github-gorilla-websocket-dev
//	export GO111MODULE=off GOPATH=/usr/share/gocode
//	go build -o chat_go go_gorilla.go && ./chat_go [ADDRESS]
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"

	"github.com/gorilla/websocket"
)

type event struct{ Sender, Message string }

// visible shows control characters, as strangers must not control this terminal.
func visible(text string) string {
	var shown strings.Builder
	for _, char := range text {
		if unicode.IsControl(char) || char >= 0x2028 && char <= 0x202e || char >= 0x2066 && char <= 0x2069 {
			fmt.Fprintf(&shown, "\\u%04x", char)
		} else {
			shown.WriteRune(char)
		}
	}
	return shown.String()
}

func end(status int, text string) {
	fmt.Fprintln(os.Stderr, visible(text))
	os.Exit(status)
}

func talk(socket *websocket.Conn) {
	input := bufio.NewScanner(os.Stdin)
	for input.Scan() {
		socket.WriteMessage(websocket.TextMessage, input.Bytes())
	}
	// The answer ends the loop in main.
	socket.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""))
}

func main() {
	address := "ws://localhost:8000/ws"
	if len(os.Args) > 1 {
		address = os.Args[1]
	}
	socket, response, err := websocket.DefaultDialer.Dial(address, nil)
	if response != nil && err != nil {
		body, _ := io.ReadAll(response.Body)
		end(1, fmt.Sprintf("No connection to %s: %s: %s", address, response.Status, strings.TrimSpace(string(body))))
	} else if err != nil {
		end(1, fmt.Sprintf("No connection to %s: %v", address, err))
	}
	go talk(socket)
	for {
		var heard event
		var closed *websocket.CloseError
		if err := socket.ReadJSON(&heard); err == nil {
			fmt.Println(visible(heard.Sender + ": " + heard.Message))
		} else if !errors.As(err, &closed) {
			end(1, fmt.Sprintf("Closed: %v", err))
		} else if closed.Code == websocket.CloseNormalClosure {
			end(0, fmt.Sprintf("Closed: %d %s", closed.Code, closed.Text))
		} else {
			end(1, fmt.Sprintf("Closed: %d %s", closed.Code, closed.Text))
		}
	}
}
