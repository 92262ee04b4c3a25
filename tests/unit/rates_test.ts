// What rates.ts promises: a room's rate is shared, nobody who said nothing lately
// is kept from speaking, and what is left of a rate is kept for who comes back.
// Time is passed in, so nothing here waits.
import { assert, assertEquals } from "@std/assert";
import {
  Allowance,
  Block,
  FIRST_BURST,
  NetworkShare,
  NEW_MS,
  Retained,
  SharedRate,
  weightOf,
} from "../../chat/room/rates.ts";
import { DecayingCount, TokenBucket } from "../../chat/ops/rate_limit.ts";
import { range } from "../support/harness.ts";

const LIMITS = { rate: 0, burst: 20, roomRate: 200, historyRate: 0 };

const known = (limits = LIMITS) => new Allowance(limits, 0);

const blockOf = (limits = LIMITS) =>
  new Block(limits, new DecayingCount(1_000));

const originOf = (limits = LIMITS, block = blockOf(limits)) =>
  new NetworkShare(limits, new DecayingCount(1_000), 0, block);

const newcomer = (nowMs: number, origin = originOf(), limits = LIMITS) =>
  new Allowance(limits, nowMs, {
    untilMs: nowMs + NEW_MS,
    networkShare: () => origin,
  });

/** All of them say as much as they may, each once in a millisecond. */
function talk(
  room: SharedRate,
  clients: Allowance[],
  fromMs: number,
  untilMs: number,
  each = (_nowMs: number) => {},
  weight = 1,
): Map<Allowance, number> {
  const said = new Map(clients.map((client) => [client, 0]));
  for (let nowMs = fromMs; nowMs < untilMs; nowMs++) {
    // Nobody is always the first.
    const first = nowMs * 7 % clients.length;
    for (const i of clients.keys()) {
      const client = clients[(first + i) % clients.length] as Allowance;
      const isSaid = room.take(client, nowMs, weight) === 0;
      if (isSaid) said.set(client, (said.get(client) ?? 0) + 1);
    }
    each(nowMs);
  }
  return said;
}

const sum = (said: Map<Allowance, number>) =>
  [...said.values()].reduce((all, one) => all + one, 0);

for (const count of [1, 2, 30, 300]) {
  Deno.test(`what ${count} say in a room keeps to its rate and uses most of it`, () => {
    const room = new SharedRate(200);
    const said = sum(talk(room, range(1, count).map(() => known()), 0, 30_000));
    assert(said <= 200 + 200 * 30, `${said}`);
    assert(said >= 0.7 * 200 * 30, `${said}`);
  });
}

Deno.test("a low rate of a room holds, too", () => {
  const limits = { ...LIMITS, roomRate: 1 };
  const clients = range(1, 5).map(() => known(limits));
  const said = sum(talk(new SharedRate(1), clients, 0, 200_000));
  assert(said <= 20 + 200 && said >= 140, `${said}`);
});

Deno.test("those who say much have equal shares", () => {
  const clients = range(1, 40).map(() => known());
  const counts = [...talk(new SharedRate(200), clients, 0, 60_000).values()];
  assert(Math.max(...counts) <= 1.2 * Math.min(...counts), `${counts}`);
});

for (const count of [1, 20, 100, 500]) {
  Deno.test(`someone who says little is never kept from it by ${count} who say much`, () => {
    const room = new SharedRate(200);
    const quiet = known();
    talk(room, range(1, count).map(() => known()), 0, 20_000, (nowMs) => {
      // After all others of this millisecond; at first nobody has said anything.
      if (nowMs % 4_000 === 3_999) assertEquals(room.take(quiet, nowMs), 0);
    });
  });
}

Deno.test("new clients do not keep those from speaking who were here before, nor fill the room", () => {
  const room = new SharedRate(200);
  const quiet = known();
  let said = 0;
  for (let nowMs = 0; nowMs < 30_000; nowMs++) {
    // Two thousand a second, each with five messages.
    for (let i = 0; i < 2; i++) {
      const client = newcomer(nowMs);
      for (let j = 0; j < 5; j++) if (room.take(client, nowMs) === 0) said++;
    }
    if (nowMs % 500 === 0) assertEquals(room.take(quiet, nowMs), 0);
  }
  assert(said <= 101 + 101 * 30, `${said}`);
});

Deno.test("what a room refuses it takes after the time that it tells, and not before", () => {
  const room = new SharedRate(200);
  const client = known();
  while (room.take(client, 0) === 0);
  const waitMs = room.take(client, 0);
  assert(waitMs > 1);
  assert(room.take(client, waitMs - 1) > 0);
  assertEquals(room.take(client, waitMs), 0);
});

Deno.test("what is said on other servers counts, but for nobody here", () => {
  const room = new SharedRate(200);
  const client = known();
  room.note(170, 170, 0);
  let said = 0;
  while (room.take(client, 0) === 0) said++;
  assert(said > 1 && said < 20, `${said}`);
});

Deno.test("a message counts once for each 2 KiB of its text as JSON", () => {
  const weights = (texts: string[]) => texts.map(weightOf);
  const short = ["", "hi", "x".repeat(500), "\n".repeat(500), "😀".repeat(500)];
  assertEquals(weights(short), [1, 1, 1, 1, 1]);
  // With its two quotes.
  assertEquals(weights(["x".repeat(2046), "x".repeat(2047)]), [1, 2]);
  assertEquals(weights(["x".repeat(4_000), "é".repeat(4_000)]), [2, 4]);
  assertEquals(weights(["😀".repeat(4_000), "\x01".repeat(4_000)]), [8, 12]);
});

Deno.test("a room takes so much less of those who say long messages, and keeps none from speaking", () => {
  const room = new SharedRate(200);
  const quiet = known();
  const weight = weightOf("\x01".repeat(4_000));
  const clients = range(1, 20).map(() => known());
  const said = sum(talk(room, clients, 0, 30_000, (nowMs) => {
    if (nowMs % 4_000 === 3_999) assertEquals(room.take(quiet, nowMs), 0);
  }, weight));
  assert(said * weight <= 200 + 200 * 30 + weight, `${said}`);
  assert(said * weight >= 0.7 * 200 * 30, `${said}`);
});

for (const rate of [1, 40, 80, 200]) {
  Deno.test(`however long a message is, it takes one of those that quiet people may say, at ${rate} a second`, () => {
    const heardAfter = (say: (room: SharedRate) => void) => {
      const room = new SharedRate(rate);
      const notReserved = 0.9 * (Math.max(20, rate) - 1);
      room.note(notReserved - 1, notReserved, 0);
      say(room);
      return range(1, 50).filter(() => room.take(known(), 0) === 0).length;
    };
    const here = (weight: number) =>
      heardAfter((room) => {
        const client = known();
        assertEquals(room.take(client, 0, weight), 0);
        assert(room.take(client, 0) > 0);
      });
    const elsewhere = (weight: number) =>
      heardAfter((room) => room.note(weight, 1, 0));
    const heard = here(1);
    assert(heard >= 2, `${heard}`);
    for (const weight of [12, 100]) {
      assertEquals([here(weight), elsewhere(weight)], [heard, heard]);
    }
  });
}

for (const rate of [20, 200]) {
  Deno.test(`quiet people who say long messages take no more than others, at ${rate} a second`, () => {
    const room = new SharedRate(rate);
    const heard = range(1, 500).filter(() => room.take(known(), 0, 12) === 0);
    assert(heard.length * 12 <= rate + 12, `${heard.length}`);
  });
}

Deno.test("a message that counts as more than all there is can be said in a quiet room", () => {
  const room = new SharedRate(1);
  const client = known();
  assertEquals(room.take(client, 0, 100), 0);
  const waitMs = room.take(client, 0);
  assert(waitMs > 0);
  assertEquals(room.take(client, waitMs, 100), 0);
});

Deno.test("a room without a rate takes everything", () => {
  const room = new SharedRate(0);
  const client = known();
  for (let i = 0; i < 10_000; i++) assertEquals(room.take(client, 0), 0);
});

Deno.test("a new client begins with a part of its burst", () => {
  const limits = { ...LIMITS, rate: 10, roomRate: 0 };
  const client = newcomer(0, originOf(), limits);
  for (let i = 0; i < FIRST_BURST; i++) {
    assertEquals(client.messages.take(0), 0);
  }
  assertEquals(client.messages.take(0), 100);
  const small = newcomer(0, originOf(), { ...limits, burst: 2 });
  assertEquals([0, 0, 0].map((ms) => small.messages.take(ms)), [0, 0, 100]);
});

Deno.test("what is left of a rate is kept until it tells nothing any more", () => {
  const limits = { ...LIMITS, rate: 10 };
  const retained = new Retained<Allowance>();
  const client = new Allowance(limits, 0);
  retained.keep("unused", client, 0);
  assertEquals(retained.take("unused"), undefined);
  client.messages.take(0);
  retained.keep("used", client, 0);
  assertEquals(retained.take("used"), client);
  assertEquals(retained.take("used"), undefined);
  // One that comes each millisecond, with one message that is gone in 100 ms.
  for (let nowMs = 1; nowMs <= 10_000; nowMs++) {
    const other = new Allowance(limits, nowMs);
    other.messages.take(nowMs);
    retained.keep(`${nowMs}`, other, nowMs);
  }
  assert(retained.size < 400, `${retained.size}`);
});

Deno.test("of more than 100,000 that are left the oldest are forgotten", () => {
  const retained = new Retained<{ isAsNew(): boolean }>();
  const item = { isAsNew: () => false };
  for (let i = 0; i < 100_100; i++) retained.keep(`${i}`, item, 0);
  // One that is kept again is not old.
  retained.keep("100", item, 0);
  retained.keep("one more", item, 0);
  const kept = range(0, 105).filter((i) => retained.take(`${i}`));
  assertEquals(kept, [100, 102, 103, 104, 105]);
});

Deno.test("what is looked up stays the same for as long as it tells something", () => {
  const retained = new Retained<TokenBucket>();
  const get = (key: string, nowMs: number) =>
    retained.get(key, nowMs, () => new TokenBucket(1, 1, nowMs));
  const bucket = get("a", 0);
  bucket.take(0);
  for (let i = 0; i < 10; i++) get(`other ${i}`, 0);
  assertEquals(get("a", 0), bucket);
  for (let i = 0; i < 10; i++) get(`another ${i}`, 1_000);
  assert(get("a", 1_000) !== bucket);
});

Deno.test("what is looked up again and again takes no more memory", () => {
  const retained = new Retained<{ isAsNew(): boolean }>();
  const item = { isAsNew: () => false };
  const before = Deno.memoryUsage().heapUsed;
  for (let i = 0; i < 2_000_000; i++) retained.get("a", 0, () => item);
  const grownMiB = (Deno.memoryUsage().heapUsed - before) / 1024 / 1024;
  // A table of the Map for each look-up would be more than 200 MiB.
  assert(grownMiB < 64, `${grownMiB} MiB`);
});

Deno.test("what a client may read of history is kept for it until it is all again", () => {
  const client = new Allowance({ ...LIMITS, historyRate: 1 }, 0);
  assertEquals(client.takeHistory(8 * 1024, 0), 0);
  assert(client.takeHistory(1, 3_999) > 0);
  assertEquals(client.isAsNew(7_999), false);
  assertEquals(client.isAsNew(8_000), true);
});

Deno.test("new clients of one network share the history that a class may be given", () => {
  const limits = { ...LIMITS, historyRate: 1 };
  const origin = originOf(limits);
  const come = (nowMs: number) => {
    const client = newcomer(nowMs, origin, limits);
    return client.takeHistory(512, nowMs) === 0;
  };
  assertEquals(range(1, 500).filter(() => come(0)).length, 60);
  assertEquals(range(1, 500).filter(() => come(1_000)).length, 20);
  assert(newcomer(1_000, originOf(limits), limits).takeHistory(1, 1_000) === 0);
});

Deno.test("networks share what new clients may say in a room, and then their clients", () => {
  const room = new SharedRate(200);
  const [many, few] = [originOf(), originOf()];
  const flood = range(1, 500).map(() => newcomer(0, many));
  const heard = range(1, 5).map(() => newcomer(0, few));
  const said = talk(room, [...flood, ...heard], 0, 20_000);
  const of = (clients: Allowance[]) =>
    clients.map((client) => said.get(client) ?? 0);
  const [ofMany, ofFew] = [of(flood), of(heard)].map((counts) =>
    counts.reduce((all, one) => all + one, 0)
  );
  assert(ofMany !== undefined && ofFew !== undefined);
  assert(ofFew >= 0.3 * ofMany, `${ofFew} and ${ofMany}`);
  assert(ofMany + ofFew >= 0.6 * 100 * 20, `${ofFew} and ${ofMany}`);
  assert(ofMany + ofFew <= 101 + 100 * 20, `${ofFew} and ${ofMany}`);
  const [least, most] = [Math.min(...of(heard)), Math.max(...of(heard))];
  assert(most <= 1.3 * least, `${least} to ${most}`);
});

Deno.test("however many networks of one block new clients come from, other blocks have their share of a room", () => {
  const room = new SharedRate(200);
  const block = blockOf();
  const flood = range(1, 500).map(() => newcomer(0, originOf(LIMITS, block)));
  const other = newcomer(0);
  const said = talk(room, [...flood, other], 0, 20_000);
  const ofFlood = flood.reduce((all, one) => all + (said.get(one) ?? 0), 0);
  assert(ofFlood >= 0.6 * 100 * 20, `${ofFlood}`);
  const ofOther = said.get(other) ?? 0;
  assert(ofOther >= 0.15 * ofFlood, `${ofOther} and ${ofFlood}`);
});
