// Parts of the page without a browser: the addresses that it makes, what it
// keeps, and the messages that wait for the server. The page as a whole is
// tested in tests/browser/.
import fc from "npm:fast-check@4.10.2";
import { assert, assertEquals } from "@std/assert";
import { exceedsBytes, exceedsChars } from "../../chat/protocol/requests.ts";
import {
  basePath,
  invitationFrom,
  inviteUrl,
  messageFrom,
  messageUrl,
  socketUrl,
} from "../../static/shared/address.js";
import { Outbox } from "../../static/client/outbox.js";
import { charactersLeft, encodeRequest } from "../../static/client/protocol.js";
import { Memory } from "../../static/shared/storage.js";

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

Deno.test("a link to a message says which, and keeps the invitation", () => {
  const place = { seq: 12, epoch: "Zm9v-_.1" };
  for (const code of ["", "a+b&c=d#e?f%20", "message=3"]) {
    const page = inviteUrl("https://a.example/chat/", "b", code);
    const link = new URL(messageUrl(page, place));
    assertEquals(messageFrom(link.hash), place);
    assertEquals(invitationFrom(link.hash), code);
    assertEquals(link.href.split("#")[0], page.split("#")[0]);
  }
  for (const hash of ["", "#", "#message=", "#message=0", "#message=1.5"]) {
    assertEquals(messageFrom(hash), null, hash);
  }
  assertEquals(messageFrom(`#message=${"9".repeat(16)}`), null);
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

Deno.test("what is kept in another shape than the page's own is as good as nothing", () => {
  const store = new Store();
  const memory = new Memory(store);
  const strange = ["", "null", "7", '"x"', "[]", "{}", "[[]]", "[null,3]", "{"];
  fc.assert(fc.property(
    fc.oneof(
      fc.constantFrom(...strange),
      fc.json(),
      fc.string({ unit: "binary" }),
      fc.array(fc.record({
        id: fc.jsonValue(),
        key: fc.jsonValue(),
        name: fc.jsonValue(),
        holder: fc.jsonValue(),
        text: fc.jsonValue(),
        problem: fc.jsonValue(),
        isRefused: fc.jsonValue(),
        replyTo: fc.jsonValue(),
      }, { requiredKeys: [] })).map((items) => JSON.stringify(items)),
    ),
    (garbage) => {
      for (const key of ["identities", "outbox.lobby", "key", "x-ray"]) {
        store.setItem(`partyline.${key}`, garbage);
      }
      for (const { key, name, holder } of memory.identities) {
        assertEquals([key, name, holder].map((it) => typeof it), [
          "string",
          "string",
          "string",
        ]);
      }
      for (
        const { id, text, problem, isRefused, replyTo = 1 } of memory
          .getOutbox("lobby")
      ) {
        assert(Number.isSafeInteger(replyTo) && replyTo > 0);
        assertEquals([typeof id, typeof text], ["string", "string"]);
        assert(problem === null || typeof problem === "string");
        assertEquals(typeof isRefused, "boolean");
      }
      assert(["open", "closed", null].includes(memory.get("x-ray")));
      const key = memory.get("key");
      assert(key === null || key.length <= 256 && !/[\p{Cc}\p{Cs}]/u.test(key));
    },
  ));
});

Deno.test("what is right among what is wrong is still there", () => {
  const store = new Store();
  const message = { id: "1", text: "hello", problem: null, isRefused: false };
  const reply = { ...message, id: "2", replyTo: 7 };
  const kept = [
    ...[null, message, { ...message, text: 5 }, [message], "hello"],
    ...[reply, { ...reply, replyTo: 0 }, { ...reply, replyTo: "7" }],
  ];
  store.setItem("partyline.outbox.lobby", JSON.stringify(kept));
  const ada = { key: "k", name: "Ada", holder: "" };
  const identities = [{ ...ada, key: "a\nb" }, ada, { ...ada, holder: 1 }];
  store.setItem("partyline.identities", JSON.stringify(identities));
  const memory = new Memory(store);
  assertEquals(memory.getOutbox("lobby"), [message, reply]);
  assertEquals(memory.identities, [ada]);
});

Deno.test("a store that refuses everything is one until the page is left", () => {
  const refuse = () => {
    throw new DOMException("not here", "SecurityError");
  };
  const store = new Store();
  const memory = new Memory(store);
  memory.set("key", "old");
  Object.defineProperties(store, {
    setItem: { value: refuse },
    removeItem: { value: refuse },
  });
  memory.set("key", "new");
  assertEquals(memory.get("key"), "new");
  Object.defineProperty(store, "getItem", { value: refuse });
  assertEquals([memory.get("key"), memory.get("name")], ["new", null]);
  memory.clear();
  assertEquals(memory.get("key"), null);
});

Deno.test("a store that is full keeps no old value in the place of a new one", () => {
  const store = new Store();
  const memory = new Memory(store);
  memory.set("draft.lobby", "old");
  Object.defineProperty(store, "setItem", {
    value: () => {
      throw new DOMException("full", "QuotaExceededError");
    },
  });
  memory.set("draft.lobby", "new");
  assertEquals(memory.get("draft.lobby"), "new");
  assertEquals(new Memory(store).get("draft.lobby"), null);
});

Deno.test("the page counts a message as the server does, in characters and in bytes", () => {
  const text = fc.string({
    unit: fc.constantFrom(...'aé€😀\n\0"\\', "\ud83d", "\ude00", "\x7f"),
    maxLength: 60,
  });
  const limits = fc.record({
    message: fc.integer({ min: 1, max: 60 }),
    frame: fc.integer({ min: 128, max: 400 }),
  });
  fc.assert(
    fc.property(text, limits, (text, limits) => {
      const left = charactersLeft(text, limits);
      // The longest id that the page makes; ENVELOPE_BYTES has room for it.
      const id = "x".repeat(32);
      const frame = encodeRequest({ type: "message", id, message: text });
      const bytes = new TextEncoder().encode(frame).length;
      const envelope =
        encodeRequest({ type: "message", id, message: "" }).length;
      const isTooLong = exceedsChars(text, limits.message) ||
        bytes - envelope + 128 > limits.frame;
      assertEquals(left < 0, isTooLong);
      if (!isTooLong) assert(!exceedsBytes(frame, limits.frame));
      // So many fewer, and it fits; so many more of any kind, and it still does.
      const characters = [...text];
      const change = left < 0
        ? characters.slice(0, left)
        : [...characters, ..."\0".repeat(left)];
      assert(charactersLeft(change.join(""), limits) >= 0);
      if (left < 0) {
        const one = characters.slice(0, characters.length + left + 1);
        assert(charactersLeft(one.join(""), limits) < 0);
      }
    }),
    { numRuns: 1_000 },
  );
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

Deno.test("an answer that was not sent yet is still one after the page was loaded anew", () => {
  const memory = new Memory(new Store());
  const sent: unknown[] = [];
  const open = () =>
    new Outbox("lobby", memory, {
      send: ({ text, replyTo }) => sent.push(text, replyTo) > 0,
      onChange: () => {},
    });
  open().add("yes", 12);
  open().lineUp();
  assertEquals(sent, ["yes", 12]);
});

Deno.test("a message that was sent too early waits as told, and no other overtakes it", () => {
  const page = createOutbox();
  const { outbox, sent, idOf } = page;
  outbox.lineUp();
  for (const text of ["one", "two"]) outbox.add(text);
  const error = { id: idOf("one"), message: "Busy.", retryAfter: 3_000 };
  outbox.refused(error);
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
