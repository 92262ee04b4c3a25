// Parts of the page without a browser: the addresses that it makes, what it
// keeps, and the messages that wait for the server. The page as a whole is
// tested in tests/slow/.
import { assertEquals } from "@std/assert";
import {
  basePath,
  invitationFrom,
  inviteUrl,
  socketUrl,
} from "../static/address.js";
import { Outbox } from "../static/outbox.js";
import { Memory } from "../static/storage.js";

type Timer = ReturnType<typeof setTimeout>;

/** The browser's Storage, as far as it is used. */
class Store {
  getItem(key: string): string | null {
    return new Map<string, string>(Object.entries(this)).get(key) ?? null;
  }
  setItem(key: string, value: string): void {
    Reflect.set(this, key, value);
  }
  removeItem(key: string): void {
    Reflect.deleteProperty(this, key);
  }
}

Deno.test("the socket is beside the page, under any path, encrypted with it", () => {
  const urls = [
    ["http://localhost:8000/", "lobby", "ws://localhost:8000/ws"],
    ["http://localhost/?room=b#c", "a", "ws://localhost/ws?room=a"],
    ["https://chat.example/", "lobby", "wss://chat.example/ws"],
    ["https://a.example/chat/", "lobby", "wss://a.example/chat/ws"],
    [
      "https://a.example/chat/index.html",
      "b",
      "wss://a.example/chat/ws?room=b",
    ],
    ["http://[::1]:8000/x/y/?room=b", "b", "ws://[::1]:8000/x/y/ws?room=b"],
  ] as const;
  for (const [base, room, url] of urls) {
    assertEquals(socketUrl(base, room), url);
  }
});

Deno.test("an invitation code survives the link, whatever it is made of", () => {
  for (
    const code of ["cuckoo", "a b", "a+b&c=d#e?f%20", "günstig ☎️", "__proto__"]
  ) {
    const link = new URL(inviteUrl("https://a.example/chat/?x#y", "b", code));
    assertEquals(link.search, "?room=b");
    assertEquals(invitationFrom(link.hash), code);
    const url = new URL(socketUrl(link.href, "b", code));
    assertEquals([...url.searchParams], [["room", "b"], ["invite", code]]);
    assertEquals(url.hash, "");
  }
});

Deno.test("without a code no address speaks of one", () => {
  assertEquals(inviteUrl("http://a/#invite=x", "lobby"), "http://a/");
  assertEquals(socketUrl("http://a/#invite=x", "lobby", ""), "ws://a/ws");
  for (
    const hash of ["", "#", "#invite", "#invite=", "#other=x", "invited=x"]
  ) {
    assertEquals(invitationFrom(hash), "", hash);
  }
});

Deno.test("servers under two paths of one origin keep their own, and / its old keys", () => {
  const store = new Store();
  const [root, chat, deeper] = ["/", "/chat/index.html", "/chat/x/"].map((
    path,
  ) => new Memory(store, basePath(`http://localhost${path}?room=a`)));
  root?.set("key", "of the root");
  chat?.set("key", "of chat");
  deeper?.set("key", "of deeper");
  assertEquals(Object.entries(store), [
    ["partyline.key", "of the root"],
    ["partyline/chat/.key", "of chat"],
    ["partyline/chat/x/.key", "of deeper"],
  ]);
  chat?.clear();
  assertEquals([root, chat, deeper].map((memory) => memory?.get("key")), [
    "of the root",
    null,
    "of deeper",
  ]);
  root?.clear();
  assertEquals(Object.keys(store), ["partyline/chat/x/.key"]);
});

/** An outbox, what it sent, and the one timer that it may have. */
function createOutbox() {
  const sent: string[] = [];
  let wait: { callback: () => void; delayMs: number } | undefined;
  const outbox = new Outbox("lobby", new Memory(null), {
    send: ({ text }) => {
      sent.push(text);
      return true;
    },
    onChange: () => {},
  }, {
    setTimer: (callback, delayMs) => {
      wait = { callback, delayMs };
      return {} as Timer;
    },
    clearTimer: () => wait = undefined,
  });
  return {
    outbox,
    sent,
    get waitMs() {
      return wait?.delayMs;
    },
    wake() {
      const { callback } = wait ?? {};
      wait = undefined;
      callback?.();
    },
    idOf: (text: string) =>
      outbox.entries.find((entry) => entry.text === text)?.id ?? "",
  };
}

Deno.test("a message that was sent too early waits as told, and no other overtakes it", () => {
  const page = createOutbox();
  const { outbox, sent, idOf } = page;
  outbox.lineUp();
  for (const text of ["one", "two"]) outbox.add(text);
  const refusal = { id: idOf("one"), message: "Busy.", retryAfter: 3_000 };
  outbox.refused(refusal);
  outbox.add("three");
  outbox.lineUp();
  assertEquals([sent, page.waitMs], [["one"], 3_000]);
  assertEquals(
    outbox.entries.map(({ problem, isRefused }) => [problem, isRefused]),
    [
      ["Busy.", false],
      [null, false],
      [null, false],
    ],
  );
  page.wake();
  for (const text of ["one", "two", "three"]) outbox.stored(idOf(text));
  assertEquals(sent, ["one", "one", "two", "three"]);
  assertEquals(outbox.entries, []);
});

Deno.test("a lost connection does not shorten the wait", () => {
  const page = createOutbox();
  const { outbox, sent, idOf } = page;
  outbox.lineUp();
  for (const text of ["one", "two"]) outbox.add(text);
  outbox.refused({ id: idOf("one"), message: "Busy.", retryAfter: 3_000 });
  outbox.lineDown();
  outbox.lineUp();
  assertEquals([sent, page.waitMs], [["one"], 3_000]);
  page.wake();
  assertEquals(sent, ["one", "one"]);
});

Deno.test("a wait that ends while the line is down costs nothing", () => {
  const page = createOutbox();
  const { outbox, sent, idOf } = page;
  outbox.lineUp();
  outbox.add("one");
  outbox.refused({ id: idOf("one"), message: "Busy.", retryAfter: 3_000 });
  outbox.lineDown();
  page.wake();
  assertEquals(sent, ["one"]);
  outbox.lineUp();
  assertEquals(sent, ["one", "one"]);
});
