// The page's place in the room's history: what it takes for new, and when it has to
// begin anew.
import { assertEquals } from "@std/assert";
import type { Identity } from "../../static/client/identity.js";
import { Session } from "../../static/client/session.js";
import { range } from "../support/harness.ts";

/** A page, and what it showed and was told; nobody is on its line. */
function newPage() {
  const told: string[] = [];
  const line = { send: () => true, restart: () => told.push("restart") };
  const identity = { key: "a.b", name: "Ada", keep: () => {} };
  const session = new Session(line, {
    onEvent: (event, isOld) => {
      if (event.type !== "message") return;
      told.push(`${isOld ? "old" : "new"} ${event.seq}`);
    },
    onStored: () => {},
    onMissed: () => told.push("missed"),
    onNewLife: () => told.push("new life"),
  }, identity as unknown as Identity);
  const receive = (...events: object[]) =>
    session.receive(JSON.stringify(events));
  const message = (seq: number) => ({
    ...{ type: "message", seq, at: "2026-01-01T00:00:00Z", sender: "Bob" },
    message: "hi",
  });
  const welcome = (seq: number, recovered: boolean | null, epoch = "e") =>
    receive({
      ...{ type: "welcome", sender: "Ada", author: "x", key: "a.b", epoch },
      ...{ room: "lobby", seq, recovered, members: ["Ada"], count: 1 },
      limits: { message: 9, frame: 9, rate: 9, burst: 9 },
      listsRooms: false,
    });
  const messages = (first: number, last: number) =>
    receive(...range(first, last).map(message));
  /** What it was told since this was asked last. */
  const news = () => told.splice(0);
  return { session, welcome, messages, news };
}

Deno.test("a page that recovered goes on after what it has", () => {
  const { session, welcome, messages, news } = newPage();
  welcome(3, null);
  messages(2, 3);
  assertEquals(news(), ["old 2", "old 3"]);
  welcome(5, true);
  messages(4, 5);
  assertEquals(news(), ["new 4", "new 5"]);
  assertEquals([session.seq, session.isCaughtUp], [5, true]);
});

Deno.test("a page that did not recover forgets what it has, which may be deleted, and takes the newest messages", () => {
  const { session, welcome, messages, news } = newPage();
  welcome(3, null);
  messages(1, 3);
  news();
  welcome(5, false);
  assertEquals(session.isCaughtUp, false);
  messages(2, 5);
  assertEquals(news(), ["missed", "old 2", "old 3", "new 4", "new 5"]);
  assertEquals([session.seq, session.isCaughtUp], [5, true]);
  welcome(9, false);
  messages(8, 9);
  assertEquals(news(), ["missed", "new 8", "new 9"]);
  messages(11, 11);
  assertEquals(news(), ["restart"]);
});

Deno.test("a page whose history was lost forgets what it has", () => {
  const { welcome, messages, news } = newPage();
  welcome(3, null);
  messages(1, 3);
  news();
  welcome(2, false, "another");
  messages(1, 2);
  assertEquals(news(), ["new life", "new 1", "new 2"]);
});
