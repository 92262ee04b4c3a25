// A chat client with libwebsockets: it sends each line that you type and prints what
// the others say, all on one thread, which waits for both. It takes the address of a
// server, ws://localhost:8000/ws if you give none, and needs libwebsockets 4.1 or
// newer, which brings the JSON parser lejp.
//   apt install gcc libc6-dev libwebsockets-dev
//   cc -o chat_c c_libwebsockets.c -lwebsockets && ./chat_c [ADDRESS]
#include <libwebsockets.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LONGEST 65536

struct text {
  size_t length;
  char *chars;
};

static char sender_chars[LONGEST], message_chars[LONGEST];
static struct text typed, sender = {0, sender_chars}, message = {0, message_chars};
static struct lws *chat;
static struct lws_vhost *vhost;
static bool input_ended, is_leaving;
static int status = -1;  // of the program; below 0 while it goes on

// Shows control characters, so that no stranger controls this terminal. In
// UTF-8 these have one byte, or two that begin with C2, or three that begin with E2.
static void print(FILE *to, const char *text, size_t length) {
  const unsigned char *at = (const unsigned char *)text, *end = at + length;
  while (at < end) {
    unsigned point = ' ', size = 1;
    if (at[0] < 0x20 || at[0] == 0x7f) point = at[0];
    else if (at[0] == 0xc2 && end - at >= 2) point = at[1], size = 2;
    else if (at[0] == 0xe2 && end - at >= 3) point = 0x2000 | (at[1] & 0x3f) << 6 | (at[2] & 0x3f), size = 3;
    if (point < 0x20 || (point >= 0x7f && point <= 0x9f) || (point >= 0x2028 && point <= 0x202e) ||
        (point >= 0x2066 && point <= 0x2069)) {
      fprintf(to, "\\u%04x", point);
    } else {
      fwrite(at, 1, size, to);
    }
    at += size;
  }
}

// Called by the parser for each piece of JSON.
static signed char on_json(struct lejp_ctx *json, char reason) {
  static struct text *const fields[] = {&sender, &message};
  if (json->path_match == 0) return 0;
  struct text *field = fields[json->path_match - 1];
  if (reason == LEJPCB_VAL_STR_START) field->length = 0;
  if ((reason == LEJPCB_VAL_STR_CHUNK || reason == LEJPCB_VAL_STR_END) && field->length + json->npos < LONGEST) {
    memcpy(field->chars + field->length, json->buf, json->npos);
    field->length += json->npos;
  }
  return 0;
}

// Takes a piece of a frame; prints the event when it is whole.
static void hear(struct lws *socket, const void *piece, size_t length) {
  static const char *const paths[] = {"sender", "message"};
  static struct lejp_ctx json;
  if (lws_is_first_fragment(socket)) lejp_construct(&json, on_json, NULL, paths, 2);
  lejp_parse(&json, piece, (int)length);
  if (!lws_is_final_fragment(socket)) return;
  lejp_destruct(&json);
  print(stdout, sender.chars, sender.length);
  fputs(": ", stdout);
  print(stdout, message.chars, message.length);
  putchar('\n');
  fflush(stdout);
}

// Keeps what was typed until the socket can take it.
static int read_keyboard(void) {
  typed.chars = realloc(typed.chars, typed.length + LONGEST);
  ssize_t count = read(STDIN_FILENO, typed.chars + typed.length, LONGEST);
  if (count > 0) typed.length += (size_t)count;
  else input_ended = true;
  lws_callback_on_writable(chat);
  return count > 0 ? 0 : -1;
}

// Says one line, if there is one, and asks to be called for the next. Returns -1 to
// close the connection.
static int say_line(struct lws *socket) {
  static unsigned char frame[LWS_PRE + LONGEST];
  const char *newline = typed.length > 0 ? memchr(typed.chars, '\n', typed.length) : NULL;
  if (newline == NULL && !input_ended) return 0;
  if (typed.length == 0) {
    lws_close_reason(socket, LWS_CLOSE_STATUS_NORMAL, NULL, 0);
    is_leaving = true;
    return -1;
  }
  size_t length = newline ? (size_t)(newline - typed.chars) : typed.length;
  size_t taken = length + (newline != NULL);
  if (length > LONGEST) length = LONGEST;
  memcpy(frame + LWS_PRE, typed.chars, length);
  lws_write(socket, frame + LWS_PRE, length, LWS_WRITE_TEXT);
  typed.length -= taken;
  memmove(typed.chars, typed.chars + taken, typed.length);
  lws_callback_on_writable(socket);
  return 0;
}

static int on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t length) {
  const unsigned char *bytes = in;
  lws_sock_file_fd_type input = {.filefd = STDIN_FILENO};
  switch (reason) {
    case LWS_CALLBACK_CLIENT_ESTABLISHED:
      lws_adopt_descriptor_vhost(vhost, LWS_ADOPT_RAW_FILE_DESC, input, "chat", NULL);
      return 0;
    case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
      fputs("No connection: ", stderr);
      if (lws_http_client_http_response(wsi) > 0) fprintf(stderr, "%u ", lws_http_client_http_response(wsi));
      print(stderr, in ? in : "unknown", in ? length : strlen("unknown"));
      fputc('\n', stderr);
      status = 1;
      return 0;
    case LWS_CALLBACK_CLIENT_RECEIVE:
      hear(wsi, in, length);
      return 0;
    case LWS_CALLBACK_RAW_RX_FILE:
      return read_keyboard();
    case LWS_CALLBACK_RAW_CLOSE_FILE:
      input_ended = true;
      lws_callback_on_writable(chat);
      return 0;
    case LWS_CALLBACK_CLIENT_WRITEABLE:
      return say_line(wsi);
    case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
      fprintf(stderr, "Closed: %d ", length >= 2 ? bytes[0] << 8 | bytes[1] : 1005);
      print(stderr, (const char *)bytes + 2, length > 2 ? length - 2 : 0);
      fputc('\n', stderr);
      status = 1;
      return 0;
    case LWS_CALLBACK_CLIENT_CLOSED:
      if (status < 0) fprintf(stderr, "Closed: %d\n", is_leaving ? 1000 : 1006);
      if (status < 0) status = is_leaving ? 0 : 1;
      return 0;
    default:
      return 0;
  }
}

int main(int argc, char *argv[]) {
  static const struct lws_protocols protocols[] = {{"chat", on_event, 0, LONGEST}, {NULL}};
  char address[1024], path[1024];
  const char *scheme, *host, *rest;
  struct lws_client_connect_info to = {.local_protocol_name = "chat", .pwsi = &chat};
  snprintf(address, sizeof address, "%s", argc > 1 ? argv[1] : "ws://localhost:8000/ws");
  if (lws_parse_uri(address, &scheme, &host, &to.port, &rest) || strncmp(scheme, "ws", 2) != 0) {
    fputs("An address looks like this: ws://HOST:PORT/ws\n", stderr);
    return 1;
  }
  snprintf(path, sizeof path, "/%s", rest);
  lws_set_log_level(LLL_ERR, NULL);
  struct lws_context_creation_info with = {
      .port = CONTEXT_PORT_NO_LISTEN, .protocols = protocols, .options = LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT};
  to.context = lws_create_context(&with);
  if (to.context == NULL) return 1;
  vhost = lws_get_vhost_by_name(to.context, "default");
  to.address = to.host = host;
  to.path = path;
  to.ssl_connection = strcmp(scheme, "wss") == 0 ? LCCSCF_USE_SSL : 0;
  // Where it fails at once, the callback may not be told.
  if (lws_client_connect_via_info(&to) == NULL && status < 0) {
    fputs("No connection: no host has that name, or nothing listens there\n", stderr);
    status = 1;
  }
  while (status < 0) lws_service(to.context, 0);
  lws_context_destroy(to.context);
  return status;
}
