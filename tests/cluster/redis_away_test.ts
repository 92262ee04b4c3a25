// Redis is away, for one server or for all: what cannot be stored is refused,
// who reads stays, and when it is back all go on as if it had not been.
import { assert, assertEquals, assertMatch } from "@std/assert";
import { DRAW_SUBPROTOCOL, SUBPROTOCOL } from "../../chat/protocol/requests.ts";
import type { WelcomeEvent } from "../../chat/protocol/events.ts";
import { EventSourceClient, get, post } from "../support/http_clients.ts";
import { Client, soon } from "../support/harness.ts";
import { redisTest } from "../support/redis.ts";
import {
  type Cluster,
  drop,
  gather,
  type Guest,
  hear,
  join,
  type Node,
  ready,
  rosterOf,
  startCluster,
  textsOf,
} from "./nodes.ts";

interface Outage {
  what: string;
  begin(cluster: Cluster): void | Promise<void>;
  end(cluster: Cluster): void | Promise<void>;
  /** Whether the second server is not concerned. */
  isOnlyOne?: true;
}

const outages: Outage[] = [
  {
    what: "a Redis that was killed",
    begin: ({ redis }) => redis.kill(),
    end: ({ redis }) => redis.start(),
  },
  {
    what: "a Redis that stands still",
    begin: ({ redis }) => redis.pause(),
    end: ({ redis }) => redis.resume(),
  },
  {
    what: "a network that is cut",
    begin: ({ one }) => one.network.cut(),
    end: ({ one }) => one.network.resume(),
    isOnlyOne: true,
  },
  {
    what: "a network that stalls",
    begin: ({ one }) => one.network.stall(),
    end: ({ one }) => one.network.resume(),
    isOnlyOne: true,
  },
];

async function assertWell(node: Node): Promise<void> {
  await ready(node);
  const { status, body } = await get(`${node.http}/healthz`);
  assertEquals([status, body.log], [200, "writable"]);
  assertMatch(await metricsOf(node), /^partyline_log_writable 1$/m);
}

/** The close code. */
const endOf = async ({ closed }: Client) =>
  (await soon(closed, "the end of a connection")).code;

/** The server says of itself that it fails, and lets nobody in. */
async function assertFails(
  node: Node,
  { key, epoch }: WelcomeEvent,
): Promise<void> {
  const { status, body } = await get(`${node.http}/healthz`);
  assertEquals([status, JSON.parse(body).log], [503, "failing"]);
  assertMatch(await metricsOf(node), /^partyline_log_writable 0$/m);

  const protocols = [SUBPROTOCOL];
  for (const hello of [{}, { key }]) {
    await using guest = await Client.open(node.ws, { protocols });
    guest.request({ type: "hello", ...hello });
    const { code, retryAfter } = await guest.next();
    assertEquals(code, "log_unavailable");
    assert(retryAfter > 0);
    assertEquals(await endOf(guest), 1013);
  }
  await using plain = await Client.open(node.ws);
  assertEquals(await endOf(plain), 1013);
  await using drawer = await Client.open(`${node.ws}?room=board`, {
    protocols: [DRAW_SUBPROTOCOL],
  });
  assertEquals(await endOf(drawer), 1013);

  const messages = `${node.http}/messages`;
  const answers = [
    await post(messages, "by POST"),
    await post(`${messages}?key=${key}`, "by POST"),
    await get(`${messages}?key=${key}&wait=1&since=${epoch}:0`),
  ];
  for (const { status, retryAfter } of answers) {
    assertEquals([status, retryAfter], [503, "2"]);
  }
  // Whose line begins is told on it.
  const { body: [error, close] } = await get(messages);
  assertEquals([error.code, close.code], ["log_unavailable", 1013]);
  await using stream = await EventSourceClient.open(`${node.http}/events`);
  assertEquals((await stream.next("error")).data.code, "log_unavailable");
  const { data, retry } = await stream.next("close");
  assertEquals([data.code, retry], [1013, "2000"]);
}

const metricsOf = async (node: Node) =>
  await (await fetch(`${node.http}/metrics`)).text();

const leaversFor = ({ heard }: Guest): string[] =>
  heard.filter(({ type }) => type === "leave").map(({ sender }) => sender)
    .sort();

/** All say something, one after the other, and all hear it. */
async function sayAndHear(guests: Guest[], ...texts: string[]): Promise<void> {
  for (const [i, text] of texts.entries()) {
    guests[i]?.say(text);
    for (const guest of guests) await hear(guest, text);
  }
}

for (const { what, begin, end, isOnlyOne } of outages) {
  redisTest(
    `${what} is told to those who speak, and all go on after it`,
    async () => {
      await using cluster = await startCluster();
      await using stack = new AsyncDisposableStack();
      const { one, two } = cluster;
      const { ann, pia, bob, pol } = await gather(cluster, stack);

      await begin(cluster);
      ann.say("again", "a1");
      pia.say("dark");
      const refused = await ann.nextOf("error");
      assertEquals([refused.code, refused.id], ["log_unavailable", "a1"]);
      assert(refused.retryAfter > 0);
      assertEquals((await pia.nextOf("error")).code, "log_unavailable");
      if (isOnlyOne) {
        bob.say("meanwhile");
        await hear(pol, "meanwhile");
      }
      await assertFails(one, ann.welcome);

      await end(cluster);
      await assertWell(one);
      await assertWell(two);
      ann.say("again", "a1");
      await hear(ann, "again");
      const after = ["after 1", "after 2", "after 3", "after 4"];
      await sayAndHear([ann, pia, bob, pol], ...after);
      const all = [
        "I am Pia",
        "I am Pol",
        ...isOnlyOne ? ["meanwhile"] : [],
        "again",
        ...after,
      ];
      for (const guest of [ann, pia, bob]) assertEquals(textsOf(guest), all);
      assertEquals(textsOf(pol), all.slice(1));

      const names = ["Ann", "Bob", pia.name, pol.name];
      await using cat = await join(two, { name: "Cat" });
      await using dan = await join(one, { name: "Dan" });
      assertEquals(cat.welcome.members.sort(), [...names, "Cat"].sort());
      assertEquals(dan.welcome.members.sort(), [...names, "Cat", "Dan"].sort());
      assertEquals(dan.welcome.count, 6);
      for (const guest of [ann, bob]) {
        while (!rosterOf(guest).includes("Dan")) await guest.next();
        assertEquals(rosterOf(guest), [...names, "Cat", "Dan"].sort());
      }
      // Who cannot tell it from a server's death takes it for that.
      assertEquals(leaversFor(ann), []);
      assertEquals(leaversFor(bob), isOnlyOne ? ["Ann", pia.name].sort() : []);
    },
  );
}

const moments: Outage[] = [
  outages[1] as Outage,
  outages[2] as Outage,
  outages[3] as Outage,
];

for (const { what, begin, end } of moments) {
  redisTest(`${what} for a moment is told to nobody`, async () => {
    await using cluster = await startCluster();
    const { one, two } = cluster;
    await using ann = await join(one, { name: "Ann" });
    await using pia = await drop(one, "I am Pia");
    await using bob = await join(two, { name: "Bob" });
    await hear(ann, "I am Pia");
    await begin(cluster);
    ann.say("from Ann");
    pia.say("from Pia");
    // The answer tells that what came before it was read.
    ann.request({ type: "ping" });
    await ann.nextOf("pong");
    await end(cluster);
    await hear(bob, "from Ann", "from Pia");
    await sayAndHear([ann, pia, bob], "after 1", "after 2", "after 3");
    assertEquals(textsOf(ann), textsOf(bob));
    assertEquals(textsOf(ann).length, 6);
    for (const guest of [ann, pia, bob]) {
      const troubles = guest.heard.filter(({ type }) =>
        type === "error" || type === "leave"
      );
      assertEquals(troubles, []);
    }
  });
}
