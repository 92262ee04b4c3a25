// What people do with messages, on several servers: an answer to one that this
// server has not been told of yet, and a search through what was said on others.
import { assert, assertEquals } from "@std/assert";
import { DRAW_SUBPROTOCOL } from "../../chat/protocol/requests.ts";
import { MAX_SEARCHED } from "../../chat/session/search.ts";
import {
  Client,
  Inbox,
  range,
  soon,
  type TestServer,
  until,
} from "../support/harness.ts";
import { redisTest, startRedis } from "../support/redis.ts";
import { ALL, draft } from "../support/store_contract.ts";
import { away, openStore, startCluster, untilIn } from "./nodes.ts";

redisTest(
  "a message of another server that was read can be answered",
  async () => {
    await using nodes = await startCluster();
    await using ann = await Client.join(nodes.one.ws);
    await using bob = await Client.join(nodes.two.ws);
    const room = nodes.two.hub.rooms.get("lobby");
    // As if what Redis publishes took long to come here.
    const held: Parameters<NonNullable<typeof room>["publish"]>[] = [];
    const publish = room?.publish.bind(room);
    Object.assign(room ?? {}, {
      publish: (...turn: (typeof held)[number]) => held.push(turn),
    });
    ann.request({ type: "message", message: "question", id: "1" });
    await ann.messagesUpTo("question");
    bob.request({ type: "history", before: 99 });
    const { messages } = await soon(bob.nextOf("history"), "the history");
    assertEquals(messages.length, 1);
    bob.request({ type: "message", message: "yes", id: "1", replyTo: 1 });
    const answer = (await ann.messagesUpTo("yes")).at(-1);
    assertEquals([answer.seq, answer.replyTo], [2, 1]);
    for (const turn of held) publish?.(...turn);
  },
);

redisTest(
  "a search finds what was said on any server, page by page",
  async () => {
    await using nodes = await startCluster({}, { rate: 0, historyRate: 0 });
    await using ann = await Client.join(nodes.one.ws);
    await using bob = await Client.join(nodes.two.ws);
    const last = MAX_SEARCHED + 2;
    for (const n of range(1, last)) {
      const message = n === 1 || n === last ? "Needle" : `${n}`;
      ann.request({ type: "message", message, id: `${n}` });
    }
    while ((await bob.nextOf("message")).seq < last);
    bob.request({ type: "search", text: "needle" });
    const { messages: [newest], more, next } = await bob.nextOf("found");
    assertEquals([newest.seq, more], [last, true]);
    bob.request({ type: "search", text: "needle", before: next });
    const { messages: [oldest], ...rest } = await bob.nextOf("found");
    assertEquals([oldest.seq, rest.more], [1, false]);
  },
);

redisTest(
  "the rooms of all servers are listed, with the people on all of them",
  async () => {
    await using nodes = await startCluster({}, { listRooms: true });
    const { one, two } = nodes;
    await using _ann = await Client.join(`${one.ws}?room=physics`);
    await using _bob = await Client.join(`${two.ws}?room=physics`);
    await using _eve = await Client.open(`${one.ws}?room=art`);
    await using carl = await Client.join(two.ws);
    const sizes = () =>
      [["physics", two, 2], ["art", one, 1], ["lobby", two, 1]] as const;
    await until(
      () =>
        sizes().every(([name, { hub }, size]) =>
          hub.rooms.get(name)?.roster.size === size
        ),
      "everyone",
    );
    carl.request({ type: "rooms" });
    const { rooms, more } = await carl.nextOf("rooms");
    assertEquals([rooms, more], [[
      { name: "physics", count: 2 },
      { name: "art", count: 1 },
      { name: "lobby", count: 1 },
    ], false]);
  },
);

redisTest(
  "a deletion is told on all servers, also to who comes back to another one",
  async () => {
    await using nodes = await startCluster();
    const { one, two } = nodes;
    await using ann = await Client.join(one.ws);
    const bob = await Client.join(two.ws);
    const { key, epoch } = bob.welcome;
    for (const message of ["oops", "again", "bye"]) {
      ann.request({ type: "message", message, id: message });
    }
    await bob.messagesUpTo("bye");
    ann.request({ type: "delete", seq: 1 });
    assertEquals((await bob.nextOf("delete")).target, 1);
    await bob[Symbol.asyncDispose]();
    ann.request({ type: "delete", seq: 2 });
    while ((await ann.nextOf("delete")).target !== 2);
    const since = { epoch, seq: 3 };
    await using back = await Client.join(one.ws, { key, since });
    const targets = [await back.nextOf("delete"), await back.nextOf("delete")];
    assertEquals(targets.map(({ target }) => target), [1, 2]);
    await using late = await Client.join(two.ws);
    const shown = [];
    while (shown.length < 3) shown.push((await late.nextOf("message")).message);
    assertEquals(shown, ["", "", "bye"]);
  },
);

redisTest(
  "a server that was cut off from Redis tells its people what was deleted meanwhile",
  async () => {
    await using nodes = await startCluster();
    const { one, two } = nodes;
    await using ann = await Client.join(one.ws);
    await using bob = await Client.join(two.ws);
    ann.request({ type: "message", message: "oops", id: "1" });
    await bob.messagesUpTo("oops");
    two.network.cut();
    await away(two);
    ann.request({ type: "delete", seq: 1 });
    await ann.nextOf("delete");
    two.network.resume();
    assertEquals((await bob.nextOf("delete")).target, 1);
  },
);

redisTest(
  "a message far back in a long history is deleted, and all others stay",
  async () => {
    await using redis = await startRedis();
    const store = await openStore(redis.url, { keep: 10_000 });
    const drafts = (from: number, to: number) =>
      range(from, to).map((n) => draft(`${n}`, undefined, undefined, "me"));
    for (let from = 1; from <= 1_000; from += 4) {
      await store.append("a", drafts(from, from + 3), 0);
    }
    const { epoch } = await store.head("a");
    await redis.command("CONFIG", "SET", "rdbcompression", "no");
    const isKept = async () =>
      String(await redis.command("DUMP", "partyline:log:a"))
        .includes('"message":"502"');
    assertEquals(await isKept(), true);
    for (const target of [1, 502, 999]) {
      const deletion = { target, author: "me", epoch, text: "{}" };
      assertEquals(await store.delete("a", deletion), "deleted");
    }
    await untilIn(async () => !await isKept(), "a memory without it");
    const all = await store.after("a", 0, ALL) ?? [];
    assertEquals(
      all.map((event) => JSON.parse(event).message),
      range(1, 1_000).map((n) => [1, 502, 999].includes(n) ? "" : `${n}`),
    );
    await store.append("a", drafts(1_001, 1_001), 0);
    assertEquals((await store.head("a")).seq, 1_001);
    await store.close();
  },
);

redisTest(
  "what is drawn is shown on all servers, but for what is lost where it was drawn",
  async () => {
    await using nodes = await startCluster();
    const protocols = [DRAW_SUBPROTOCOL];
    await using one = await Client.open(nodes.one.ws, { protocols });
    await using two = await Client.open(nodes.two.ws, { protocols });
    const boardOf = ({ hub }: TestServer) => hub.rooms.get("lobby")?.board;
    const areIn = () =>
      [nodes.one, nodes.two].every((node) => boardOf(node)?.drawers.size === 1);
    await until(areIn, "both at their boards");
    const board = boardOf(nodes.one);
    assert(board !== undefined);
    const strokes = new Inbox<number[]>();
    two.socket.binaryType = "arraybuffer";
    two.socket.onmessage = ({ data }) => strokes.put([...new Uint8Array(data)]);
    const show = board.show.bind(board);
    let asked = 0;
    // Nothing is left for the first.
    board.show = (...args) => ++asked > 1 && show(...args);
    for (const byte of [1, 2]) one.socket.send(Uint8Array.of(byte));
    assertEquals(await strokes.take("a stroke"), [2]);
  },
);
