// What hub.ts and identities.ts promise: rooms that come and go, and names that one person
// has at a time. No socket is involved.
import { setImmediate } from "node:timers";
import { assert, assertEquals, assertMatch } from "@std/assert";
import { defaultOptions } from "../../chat/options.ts";
import { Hub, type HubLimits } from "../../chat/room/hub.ts";
import { JoinLimitError, NameError } from "../../chat/room/identities.ts";
import { NAME_REST_MS } from "../../chat/store/store.ts";
import { LocalStore } from "../../chat/store/local.ts";
import { MemoryArchive } from "../../chat/store/memory.ts";
import type { Member } from "../../chat/room/room.ts";
import { newContext, newOwner } from "../support/harness.ts";

const guest = (name = "guest"): Member => ({
  name,
  session: { send() {} },
  framesOf: () => [],
  refuse() {},
});

function hubOf({
  monotonic = (): number => 0,
  random = Math.random,
  maxRooms = 10,
  archive = new MemoryArchive(10, monotonic),
  ...limits
}: Partial<HubLimits> & {
  monotonic?: () => number;
  random?: () => number;
  archive?: MemoryArchive;
} = {}): Hub {
  const context = newContext({ monotonic, random });
  return new Hub(
    { ...defaultOptions({ maxRooms, ...limits }), sendLimit: 4_000 },
    new LocalStore(archive, context),
    context,
  );
}

class Holder {
  isSuperseded = false;
  supersede() {
    this.isSuperseded = true;
  }
}

Deno.test("a room is here as long as a guest is, and then forgotten", () => {
  const hub = hubOf();
  const [a, b] = [guest(), guest()];
  const room = hub.enter("physics", a);
  assert(room && room === hub.enter("physics", b));
  hub.leave(room, a);
  assertEquals([...hub.rooms.keys()], ["physics"]);
  hub.leave(room, b);
  hub.leave(room, b);
  assertEquals(hub.rooms.size, 0);
});

Deno.test("a room whose last words are being stored waits for them", async () => {
  const hub = hubOf();
  const a = guest();
  const room = hub.enter("physics", a);
  assert(room);
  await room.open();
  room.members.add(a);
  room.say(a, { message: "last words" });
  hub.leave(room, a);
  assertEquals(hub.rooms.size, 1);
  while (hub.rooms.size > 0) {
    await new Promise((resolve) => setImmediate(resolve));
  }
  assertEquals(room.head.seq, 1);
});

Deno.test("to leave a room that was forgotten leaves the next one of its name alone", () => {
  const hub = hubOf();
  const [a, b] = [guest(), guest()];
  const before = hub.enter("physics", a);
  assert(before);
  hub.leave(before, a);
  const after = hub.enter("physics", b);
  hub.leave(before, a);
  assert(after && hub.rooms.get("physics") === after);
});

Deno.test("one room too many is not made, an existing one is still open", () => {
  const hub = hubOf({ maxRooms: 1 });
  const room = hub.enter("physics", guest());
  assertEquals(hub.enter("chemistry", guest()), undefined);
  assertEquals(hub.hasSpaceFor("chemistry"), false);
  assertEquals(hub.enter("physics", guest()), room);
});

Deno.test("a room in which nobody showed yet to be there takes no other's space", () => {
  const hub = hubOf({ maxRooms: 1 });
  const poll = { ...guest(), isUnconfirmed: true };
  const room = hub.enter("physics", poll);
  assert(room);
  assert(hub.enter("biology", poll));
  assert(hub.enter("chemistry", guest()));
  // Now that one counts, and these may not stay.
  assertEquals(hub.hasSpaceFor("physics"), false);
  assertEquals(hub.hasSpaceFor("history"), false);
  hub.leave(room, poll);
  assertEquals(hub.rooms.size, 2);
  const other = hubOf({ maxRooms: 1 });
  const back = { ...guest(), isUnconfirmed: true };
  other.enter("physics", back);
  back.isUnconfirmed = false;
  other.review("physics");
  assertEquals(other.hasSpaceFor("chemistry"), false);
  assertEquals(other.hasSpaceFor("physics"), true);
});

Deno.test("10,000 clients have 10,000 names", async () => {
  const hub = hubOf({ maxClients: 10_000 });
  const names = new Set<string>();
  for (let i = 0; i < 5_000; i++) {
    names.add(await hub.identities.claimName(new Holder(), newOwner()));
    names.add(
      (await hub.identities.register(undefined, new Holder(), newOwner())).name,
    );
  }
  assertEquals(names.size, 10_000);
});

Deno.test("one connection makes a few identities at once, then one a second", async () => {
  let nowMs = 0;
  const hub = hubOf({ monotonic: () => nowMs });
  const make = (name: string, isShared = false) =>
    hub.identities.register(
      undefined,
      new Holder(),
      newOwner({ name, network: "here", isShared }),
    );
  for (let i = 0; i < 16; i++) await make("one");
  const { code, retryAfterMs } = await make("one").catch((error) => error);
  assertEquals([code, retryAfterMs], ["rate_limited", 1_000]);
  await make("two");
  nowMs = 1_000;
  await make("one");
});

Deno.test("too many new people of one address behind a proxy come back spread over some seconds", async () => {
  let chance: number | undefined;
  const hub = hubOf({ random: () => chance ?? Math.random() });
  const owner = newOwner({ isShared: true });
  const make = () => hub.identities.register(undefined, new Holder(), owner);
  for (let i = 0; i < 300; i++) await make();
  for (const [given, waitMs] of [[0, 1_000], [0.5, 3_000], [0.9999, 5_000]]) {
    chance = given;
    const error = await make().catch((error) => error);
    assert(error instanceof JoinLimitError);
    assertMatch(error.message, /^Too many new people join from your address/);
    assertEquals([error.code, error.retryAfterMs], ["rate_limited", waitMs]);
  }
});

Deno.test("2,000 people or most of a full house come in at once; then newcomers have a rate", async () => {
  let nowMs = 0;
  for (const [maxClients, atOnce] of [[10, 2_000], [5_000, 3_400]] as const) {
    const hub = hubOf({ monotonic: () => nowMs, maxClients });
    const come = (network: string) =>
      hub.identities.register(undefined, new Holder(), newOwner({ network }));
    const flood = async () => {
      for (let came = 0;; came++) {
        const error = await come("a flood").then(() => {}, (error) => error);
        if (error === undefined) continue;
        assertEquals(error.code, "busy");
        assert(error.retryAfterMs >= 1_000 && error.retryAfterMs <= 5_000);
        return came;
      }
    };
    assert(await flood() >= atOnce);
    nowMs += 1_000;
    const more = await flood();
    assert(more > 0 && more <= 300, `${more}`);
    // From elsewhere people come in all the same.
    for (let i = 0; i < 100; i++) await come("a class");
  }
});

Deno.test("65,536 networks of one block do not keep others from coming in", async () => {
  let nowMs = 0;
  const hub = hubOf({ monotonic: () => nowMs, maxClients: 5_000 });
  const come = (network: string, block: string) =>
    hub.identities.register(
      undefined,
      new Holder(),
      newOwner({ network, block }),
    ).then(() => true, () => false);
  let came = 0;
  for (let i = 0; i < 65_536; i++) {
    if (i % 64 === 0) nowMs++;
    if (await come(`network ${i}`, "a block")) came++;
    // A class of 200 comes meanwhile, from one address.
    if (i % 300 === 299 && i < 60_000) assert(await come("school", "town"));
  }
  assert(came > 3_700 && came < 4_500, `${came}`);
});

Deno.test("a name rests for a minute after its holder has gone", async () => {
  let nowMs = 0;
  // Random draws that always make the same pair show what is remembered.
  const hub = hubOf({ monotonic: () => nowMs, random: () => 0 });
  const name = await hub.identities.claimName(new Holder(), newOwner());
  hub.identities.releaseName(name);
  nowMs = NAME_REST_MS - 1;
  const other = await hub.identities.claimName(new Holder(), newOwner());
  assert(other !== name);
  hub.identities.releaseName(other);
  nowMs = NAME_REST_MS;
  assertEquals(await hub.identities.claimName(new Holder(), newOwner()), name);
});

Deno.test("when the friendly names are reserved by absent people, numbers are added", async () => {
  // Random draws that always make the same pair: to this hub, all is taken.
  const hub = hubOf({ random: () => 0 });
  const absent = new Holder();
  const { key: _, ...identity } = await hub.identities.register(
    undefined,
    absent,
    newOwner(),
  );
  hub.identities.release(identity, absent);
  const names = new Set<string>();
  for (let i = 0; i < 100; i++) {
    names.add(await hub.identities.claimName(new Holder(), newOwner()));
    names.add(
      (await hub.identities.register(undefined, new Holder(), newOwner())).name,
    );
  }
  assertEquals(names.size, 200);
  assert([...names].every((name) => /^[a-z]+-\d+$/.test(name)));
});

Deno.test("a name that has rested can be taken without anybody else coming", async () => {
  let nowMs = 0;
  const hub = hubOf({ monotonic: () => nowMs });
  const name = await hub.identities.claimName(new Holder(), newOwner());
  hub.identities.releaseName(name);
  nowMs = NAME_REST_MS;
  assertEquals(
    (await hub.identities.register(name, new Holder(), newOwner())).name,
    name,
  );
});

Deno.test("a key brings back its identity, and whoever held it gives way", async () => {
  const hub = hubOf();
  const [first, second] = [new Holder(), new Holder()];
  const { id, name, key } = await hub.identities.register(
    "Ada",
    first,
    newOwner(),
  );
  assertEquals(name, "Ada");
  const held = await hub.identities.reclaim(key, second);
  assert(held !== undefined);
  assertEquals([held.id, held.name, held.generation], [id, name, 2]);
  assertEquals([first.isSuperseded, second.isSuperseded], [true, false]);
  // The first one's end must not take the name from the second.
  hub.identities.release(held, first);
  assert(
    (await hub.identities.register("Ada", new Holder(), newOwner())).name !==
      "Ada",
  );
});

Deno.test("a wrong key brings back nothing", async () => {
  const hub = hubOf();
  const { id, key } = await hub.identities.register(
    "Ada",
    new Holder(),
    newOwner(),
  );
  for (const wrong of ["", "x", id, `${id}.`, `${key}x`, key.slice(0, -1)]) {
    assertEquals(
      await hub.identities.reclaim(wrong, new Holder()),
      undefined,
    );
  }
});

Deno.test("an absent holder's name stays reserved for its key", async () => {
  const hub = hubOf();
  const [ada, eve] = [new Holder(), new Holder()];
  const { key, ...identity } = await hub.identities.register(
    "Ada",
    ada,
    newOwner(),
  );
  hub.identities.release(identity, ada);
  assert(
    (await hub.identities.register("ada", eve, newOwner())).name !== "ada",
  );
  assertEquals((await hub.identities.reclaim(key, ada))?.name, "Ada");
});

Deno.test("names differ in more than case and width", async () => {
  const hub = hubOf();
  await hub.identities.register("Ada", new Holder(), newOwner());
  const eve = new Holder();
  const { key: _, ...identity } = await hub.identities.register(
    "Eve",
    eve,
    newOwner(),
  );
  for (const name of ["ada", "ADA", "Ａｄａ", "adA"]) {
    const error = await hub.identities.rename(identity, name).catch((
      e,
    ) => e);
    assert(error instanceof NameError && error.code === "name_taken", name);
  }
  await hub.identities.rename(identity, "EVE");
  assertEquals(identity.name, "EVE");
});

Deno.test("a new name frees the old one", async () => {
  const hub = hubOf();
  const [ada, eve] = [new Holder(), new Holder()];
  const { key: _a, ...identity } = await hub.identities.register(
    "Ada",
    ada,
    newOwner(),
  );
  await hub.identities.rename(identity, "Lovelace");
  assertEquals(
    (await hub.identities.register("Ada", eve, newOwner())).name,
    "Ada",
  );
});

Deno.test("a rename that is stored when nobody is left takes no name", async () => {
  const stored = Promise.withResolvers<void>();
  class SlowArchive extends MemoryArchive {
    override async rename(...args: Parameters<MemoryArchive["rename"]>) {
      await stored.promise;
      return await super.rename(...args);
    }
  }
  const hub = hubOf({ archive: new SlowArchive(10, () => 0) });
  const ada = new Holder();
  const { key: _, ...identity } = await hub.identities.register(
    "Ada",
    ada,
    newOwner(),
  );
  const renamed = hub.identities.rename(identity, "Lovelace");
  hub.identities.release(identity, ada);
  stored.resolve();
  // Without a holder the store may do it or not; nobody is here in any case.
  await renamed.catch(() => {});
  assertEquals(hub.identities.nameCount, 0);
});

Deno.test("a name changed 10,000 times leaves one name", async () => {
  const archive = new MemoryArchive(10, () => 0);
  const hub = hubOf({ archive });
  const ada = new Holder();
  const { key: _, ...identity } = await hub.identities.register(
    "Ada",
    ada,
    newOwner(),
  );
  for (let i = 0; i < 10_000; i++) {
    await hub.identities.rename(identity, `Ada ${i}`);
  }
  assertEquals(await archive.isReserved("Ada 9999"), true);
  assertEquals(await archive.isReserved("Ada 9998"), false);
  assertEquals(
    (await hub.identities.register("Ada 9998", new Holder(), newOwner())).name,
    "Ada 9998",
  );
});
