// A chat client with gorilla/websocket that loses nothing: it speaks partyline.v1,
// comes back after a lost connection and sends again what was not acknowledged. It
// takes the address of a server, ws://localhost:8000/ws if you give none, and needs
// Go 1.19 or newer.
//
//	apt install golang-go golang-github-gorilla-websocket-dev
//	export GO111MODULE=off GOPATH=/usr/share/gocode
//	go build -o chat_go_v1 go_gorilla_v1.go && ./chat_go_v1 [ADDRESS]
package main

import (
	"bufio"
	crypto "crypto/rand"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"os"
	"strings"
	"time"
	"unicode"

	"github.com/gorilla/websocket"
)

const (
	firstPause   = 500 * time.Millisecond
	longestPause = 30 * time.Second
	pingEvery    = 20 * time.Second
	silenceLimit = 45 * time.Second
)

type position struct {
	Epoch string `json:"epoch"`
	Seq   int64  `json:"seq"`
}

type request struct {
	Type    string    `json:"type"`
	Key     string    `json:"key,omitempty"`
	Since   *position `json:"since,omitempty"`
	History *int      `json:"history,omitempty"`
	Message *string   `json:"message,omitempty"`
	ID      string    `json:"id,omitempty"`
}

type event struct {
	Type, Sender, Message, ID, Key, Epoch string
	Seq                                   int64
	Recovered                             *bool
	RetryAfter                            int64 // in milliseconds
}

// chat is what lasts longer than a connection.
type chat struct {
	lines    chan string // what is typed; closed at its end
	key      string      // makes us the same person again
	at       position    // up to here nothing is missing
	waiting  *request    // the message that is not acknowledged yet
	stayAway time.Duration
	hasEnded bool // all that was typed is said
}

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

func tell(format string, values ...any) {
	fmt.Fprintln(os.Stderr, visible(fmt.Sprintf(format, values...)))
}

func end(status int, format string, values ...any) {
	tell(format, values...)
	os.Exit(status)
}

func (c *chat) readLines() {
	input := bufio.NewScanner(os.Stdin)
	for input.Scan() {
		c.lines <- input.Text()
	}
	close(c.lines)
}

// newID is random, because others see the ids, too, and have to use other ones.
func newID() string {
	var bytes [16]byte
	crypto.Read(bytes[:])
	return fmt.Sprintf("%x", bytes)
}

// listen passes on what comes until the connection ends, then the reason.
func listen(socket *websocket.Conn, frames chan<- []event, ended chan<- error) {
	hurry := func(string) error { return socket.SetReadDeadline(time.Now().Add(silenceLimit)) }
	socket.SetPongHandler(hurry)
	for {
		hurry("")
		var frame []event
		if err := socket.ReadJSON(&frame); err != nil {
			ended <- err
			return
		}
		frames <- frame
	}
}

// converse returns, at the end of a connection, whether it was of use and why it
// ended.
func (c *chat) converse(socket *websocket.Conn) (isWelcome bool, err error) {
	defer socket.Close()
	none := 0
	hello := request{Type: "hello", History: &none}
	if c.key != "" {
		hello.Key, hello.Since = c.key, &c.at
	}
	socket.WriteJSON(hello)
	frames, ended := make(chan []event), make(chan error, 1)
	go listen(socket, frames, ended)
	ping := time.NewTicker(pingEvery)
	defer ping.Stop()
	var again <-chan time.Time // when to send again what was refused for now
	for {
		// One message at a time: the next line is read when this one is stored.
		lines := c.lines
		if !isWelcome || c.waiting != nil || c.hasEnded {
			lines = nil
		}
		select {
		case line, isOpen := <-lines:
			if !isOpen {
				c.hasEnded = true
				socket.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""))
				continue
			}
			c.waiting = &request{Type: "message", Message: &line, ID: newID()}
			socket.WriteJSON(c.waiting)
		case frame := <-frames:
			for _, heard := range frame {
				if heard.Type == "welcome" {
					isWelcome = true
				}
				if c.hear(heard, socket) {
					again = time.After(time.Duration(heard.RetryAfter) * time.Millisecond)
				}
			}
		case <-again:
			if c.waiting != nil {
				socket.WriteJSON(c.waiting)
			}
		case <-ping.C:
			socket.WriteControl(websocket.PingMessage, nil, time.Now().Add(time.Second))
		case err := <-ended:
			return isWelcome, err
		}
	}
}

// hear returns whether the message that waits is to be sent again after a while.
func (c *chat) hear(heard event, socket *websocket.Conn) bool {
	isOurs := c.waiting != nil && c.waiting.ID == heard.ID
	switch heard.Type {
	case "welcome":
		c.key = heard.Key
		if heard.Recovered != nil && !*heard.Recovered {
			tell("Some messages are missing: the server has them no more.")
		}
		if heard.Recovered == nil || !*heard.Recovered {
			c.at = position{heard.Epoch, heard.Seq}
		}
		if c.waiting != nil {
			socket.WriteJSON(c.waiting)
		}
	case "message":
		// What was sent twice comes back with the number that it had: shown once.
		if heard.Seq == c.at.Seq+1 {
			c.at.Seq++
			fmt.Println(visible(heard.Sender + ": " + heard.Message))
		}
		if isOurs {
			c.waiting = nil
		}
	case "leave":
		fmt.Println(visible(heard.Sender + ": " + heard.Message))
	case "error":
		if isOurs && heard.RetryAfter > 0 {
			return true
		}
		tell("%s", heard.Message)
		if isOurs {
			c.waiting = nil // It will never be stored.
		} else {
			// The end of the connection comes next.
			c.stayAway = time.Duration(heard.RetryAfter) * time.Millisecond
		}
	}
	return false
}

// isFinal tells after which codes we would only be closed again: 4002, another
// connection has the key.
func isFinal(code int) bool {
	switch code {
	case 1002, 1003, 1007, 1008, 1009:
		return true
	}
	return code >= 4000
}

func (c *chat) judge(err error) {
	var closed *websocket.CloseError
	if !errors.As(err, &closed) {
		closed = &websocket.CloseError{Code: websocket.CloseAbnormalClosure, Text: err.Error()}
	}
	if c.hasEnded || isFinal(closed.Code) {
		status := 1
		if closed.Code == websocket.CloseNormalClosure {
			status = 0
		}
		end(status, "Closed: %d %s", closed.Code, closed.Text)
	}
	tell("Closed: %d %s", closed.Code, closed.Text)
}

func main() {
	address := "ws://localhost:8000/ws"
	if len(os.Args) > 1 {
		address = os.Args[1]
	}
	rand.Seed(time.Now().UnixNano())
	c := &chat{lines: make(chan string)}
	go c.readLines()
	dialer := websocket.Dialer{Subprotocols: []string{"partyline.v1"}, HandshakeTimeout: 10 * time.Second}
	pause := firstPause
	for {
		c.stayAway = 0
		socket, response, err := dialer.Dial(address, nil)
		if err == nil {
			wasWelcome, err := c.converse(socket)
			c.judge(err)
			if wasWelcome {
				pause = firstPause
			}
		} else {
			why := err.Error()
			if response != nil {
				body, _ := io.ReadAll(response.Body)
				why = response.Status + ": " + strings.TrimSpace(string(body))
			}
			if c.key == "" {
				end(1, "No connection to %s: %s", address, why)
			}
			tell("No connection: %s", why)
		}
		// At random, so that not all come back at once.
		wait := pause/2 + time.Duration(rand.Int63n(int64(pause/2)))
		if c.stayAway > wait {
			wait = c.stayAway
		}
		tell("Coming back in %.1f s.", wait.Seconds())
		time.Sleep(wait)
		if pause *= 2; pause > longestPause {
			pause = longestPause
		}
	}
}
