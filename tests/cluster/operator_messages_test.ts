// What is wrong with a Redis is one sentence for the operator: at the start,
// where the program ends, and later, where it goes on. None tells a password.
import { assert, assertEquals, assertMatch } from "@std/assert";
import config from "../../deno.json" with { type: "json" };
import { soon, START_DEADLINE_MS } from "../support/harness.ts";
import { get } from "../support/http_clients.ts";
import { type Redis, redisTest, startRedis } from "../support/redis.ts";
import {
  away,
  drop,
  hear,
  join,
  type Node,
  ready,
  startNode,
  startProgram,
  textsOf,
} from "./nodes.ts";

const ROOT = new URL("../..", import.meta.url).pathname;
const CERTIFICATES = `${ROOT}tests/support/certificates/`;
const TLS = {
  cert: `${CERTIFICATES}first.pem`,
  key: `${CERTIFICATES}first.key`,
};
const PASSWORD = "s3cret/?%";

/** What the program says that does not start. */
async function complaintOf(data: string, ...flags: string[]): Promise<string> {
  const [, ...start] = config.tasks.start.replaceAll("'", "").split(" ");
  const child = new Deno.Command(Deno.execPath(), {
    args: [...start, "--port", "0", "--data", data, ...flags],
    cwd: ROOT,
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const { code, stdout, stderr } = await soon(
    child.output(),
    `the program's end: ${data}`,
    START_DEADLINE_MS,
  );
  const [said, complained] = [stdout, stderr].map((bytes) =>
    new TextDecoder().decode(bytes)
  );
  assertEquals([code, said], [1, ""]);
  assertMatch(complained ?? "", /^partyline: [^\n]*[^.]\.\n$/);
  assert(!complained?.includes("s3cret"), complained);
  return complained ?? "";
}

/** A server that says `greeting` to everyone who comes, and then nothing. */
function startStranger(greeting: string): Deno.Listener & { port: number } {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const connections: Deno.Conn[] = [];
  (async () => {
    for await (const connection of listener) {
      connections.push(connection);
      await connection.write(new TextEncoder().encode(greeting));
    }
    for (const connection of connections) connection.close();
  })();
  return Object.assign(listener, { port: listener.addr.port });
}

/** The address with another user and password. */
function by({ url }: Redis, user: string, password = ""): string {
  const address = new URL(url);
  address.username = user;
  address.password = encodeURIComponent(password);
  return address.href;
}

redisTest(
  "the program does not start without the password, or with a wrong one",
  async () => {
    await using redis = await startRedis({ password: PASSWORD });
    const wanted = /Redis at 127.0.0.1:\d+: it needs a password/;
    const wrong = /Redis at 127.0.0.1:\d+: the user or the password is wrong/;
    assertMatch(await complaintOf(by(redis, "")), wanted);
    assertMatch(await complaintOf(by(redis, "", "s3cret")), wrong);
    assertMatch(await complaintOf(by(redis, "joe", PASSWORD)), wrong);
    const malformed = `redis://:s3cret%@127.0.0.1:${redis.port}`;
    assertMatch(
      await complaintOf(malformed),
      /write % in the user and the password as %25/,
    );
  },
);

redisTest(
  "the program does not start where there is no Redis, or none like that",
  async () => {
    using ssh = startStranger("SSH-2.0-OpenSSH_9.9\r\n");
    using mute = startStranger("");
    await using redis = await startRedis();
    const cases: [string, RegExp][] = [
      ["no-such-host.invalid:1", /: there is no such host: correct --data/],
      ["127.0.0.1:1", /127.0.0.1:1: nothing listens there/],
      [
        `127.0.0.1:${ssh.port}`,
        /: this is not Redis: correct the port in --data/,
      ],
      [`127.0.0.1:${mute.port}`, /: it does not answer: .* rediss:/],
      [`127.0.0.1:${redis.port}/99`, /: it has no database with that number/],
    ];
    for (const [address, complaint] of cases) {
      const said = await complaintOf(`redis://:s3cret@${address}`);
      assertMatch(said, complaint);
    }
  },
);

redisTest(
  "the program does not start with a Redis that cannot be written",
  async () => {
    await using redis = await startRedis();
    await redis.command("CONFIG", "SET", "maxmemory", "1");
    assertMatch(await complaintOf(redis.url), /: its memory is used up/);
    await redis.command("CONFIG", "SET", "maxmemory", "0");
    await redis.command("REPLICAOF", "127.0.0.1", "1");
    assertMatch(await complaintOf(redis.url), /: it is a replica/);
  },
);

redisTest(
  "the program does not start for a user without the rights that it needs",
  async () => {
    await using redis = await startRedis();
    const allow = (user: string, ...rules: string[]) =>
      redis.command("ACL", "SETUSER", user, "on", `>${PASSWORD}`, ...rules);
    const cases: [string, string[], RegExp][] = [
      ["keys", ["~other:*", "&*", "+@all"], /may not use the keys partyline:/],
      ["channels", ["~*", "resetchannels", "+@all"], /NOPERM .* channels/],
      ["scripts", ["~*", "&*", "+@all", "-script"], /NOPERM .*script/],
      ["info", ["~*", "&*", "+@all", "-info"], /NOPERM .*info/],
    ];
    for (const [user, rules, complaint] of cases) {
      await allow(user, ...rules);
      assertMatch(await complaintOf(by(redis, user, PASSWORD)), complaint);
    }
    const keys = ["~partyline:*", "&partyline:*"];
    await allow("enough", ...keys, "+@all", "-@dangerous", "+info");
    const data = by(redis, "enough", PASSWORD);
    await using node = await startNode(redis, { data });
    await using ann = await join(node, { name: "Ann" });
    await using pia = await drop(node, "I am Pia");
    await hear(ann, "I am Pia");
    pia.say("all is well");
    await hear(ann, "all is well");
  },
);

redisTest(
  "the program does not start with a Redis whose certificate is not trusted",
  async () => {
    await using redis = await startRedis({ tls: TLS, password: PASSWORD });
    const untrusted = /certificate is not trusted: see --redis-ca/;
    const other = ["--redis-ca", `${CERTIFICATES}second.pem`];
    assertMatch(await complaintOf(redis.url), untrusted);
    assertMatch(await complaintOf(redis.url, ...other), untrusted);
    const missing = await complaintOf(redis.url, "--redis-ca", "no-such-file");
    assertMatch(missing, /The file no-such-file of --redis-ca cannot be read/);
    const plain = redis.url.replace("rediss:", "redis:");
    assertMatch(await complaintOf(plain), /: it closed the connection/);
    await using bare = await startRedis();
    const secure = bare.url.replace("redis:", "rediss:");
    assertMatch(
      await complaintOf(secure),
      /: it (does not answer|does not use TLS)/,
    );
  },
);

redisTest("servers share a Redis over TLS, with a password", async () => {
  await using redis = await startRedis({ tls: TLS, password: PASSWORD });
  const options = { data: redis.url, redisCa: TLS.cert };
  await using one = await startNode(redis, options);
  await using two = await startNode(redis, options);
  await using ann = await join(one, { name: "Ann" });
  await using bob = await join(two, { name: "Bob" });
  ann.say("from Ann");
  bob.say("from Bob");
  await hear(ann, "from Ann", "from Bob");
  await hear(bob, "from Ann", "from Bob");
  await redis.kill();
  ann.say("again", "a1");
  assertEquals((await ann.nextOf("error")).id, "a1");
  await redis.start();
  await ready(one);
  ann.say("again", "a1");
  await hear(bob, "again");
});

/** What the operator was told of the store. */
const complaints = ({ lines }: Node) =>
  lines.filter((line) => /^\S+ error /.test(line));

const health = async (node: Node) => (await get(`${node.http}/healthz`)).status;

redisTest(
  "a Redis without memory left is told once, and its end too",
  async () => {
    await using redis = await startRedis();
    await using node = await startNode(redis);
    await using ann = await join(node, { name: "Ann" });
    await using pia = await drop(node, "I am Pia");
    await redis.command("CONFIG", "SET", "maxmemory", "1");
    for (let i = 0; i < 3; i++) {
      ann.say("again", "a1");
      const { code, id, message } = await ann.nextOf("error");
      assertEquals([code, id], ["log_unavailable", "a1"]);
      assertMatch(message, /this message was not sent/);
    }
    pia.say("dark");
    assertEquals((await pia.nextOf("error")).code, "log_unavailable");
    assertEquals(await health(node), 503);
    assertEquals(complaints(node).length, 1);
    assertMatch(complaints(node)[0] ?? "", /: its memory is used up\./);
    await redis.command("CONFIG", "SET", "maxmemory", "0");
    // Nobody has to speak for it.
    await ready(node);
    assertEquals(await health(node), 200);
    ann.say("again", "a1");
    await hear(pia, "again");
    assertEquals(textsOf(pia), ["I am Pia", "again"]);
    assertEquals(complaints(node).length, 1);
  },
);

redisTest(
  "a Redis that takes nothing more is noticed also when nobody speaks",
  async () => {
    await using redis = await startRedis();
    await using node = await startNode(redis);
    await using ann = await join(node, { name: "Ann" });
    await redis.command("CONFIG", "SET", "maxmemory", "1");
    await away(node);
    assertEquals(await health(node), 503);
    await redis.command("CONFIG", "SET", "maxmemory", "0");
    await ready(node);
    ann.say("all is well");
    await hear(ann, "all is well");
  },
);

redisTest(
  "a password that is changed while the server runs is told, but not shown",
  async () => {
    await using redis = await startRedis();
    await redis.command(
      "ACL",
      "SETUSER",
      "joe",
      "on",
      ">s3cret",
      "~*",
      "&*",
      "+@all",
    );
    await using node = await startNode(redis, {
      data: by(redis, "joe", "s3cret"),
    });
    await using ann = await join(node, { name: "Ann" });
    await redis.command("ACL", "SETUSER", "joe", "resetpass", ">s3cret2");
    await redis.command("CLIENT", "KILL", "USER", "joe");
    await away(node);
    ann.say("again", "a1");
    assertEquals((await ann.nextOf("error")).id, "a1");
    await redis.command("ACL", "SETUSER", "joe", ">s3cret");
    await ready(node);
    ann.say("again", "a1");
    await hear(ann, "again");
    assert(!node.lines.join("\n").includes("s3cret"), node.lines.join("\n"));
  },
);

for (
  const [what, command] of [
    ["a Redis that forgets its scripts", ["SCRIPT", "FLUSH"]],
    ["a Redis that ends its connections", ["CLIENT", "KILL", "TYPE", "pubsub"]],
  ] as const
) {
  redisTest(`${what} is told to nobody`, async () => {
    await using redis = await startRedis();
    await using node = await startNode(redis);
    await using ann = await join(node, { name: "Ann" });
    await using pia = await drop(node, "I am Pia");
    await redis.command(...command);
    ann.say("from Ann");
    pia.say("from Pia");
    await hear(ann, "I am Pia", "from Ann", "from Pia");
    await hear(pia, "from Ann", "from Pia");
    assertEquals(textsOf(ann).length, 3);
    assertEquals(ann.heard.filter(({ type }) => type === "error"), []);
  });
}

for (const pause of [false, true]) {
  const what = pause ? "stands still" : "is away";
  redisTest(`a server stops in time while Redis ${what}`, async () => {
    await using redis = await startRedis();
    await using program = await startProgram(redis);
    const ann = await join(program, { name: "Ann" });
    const pia = await drop(program, "I am Pia");
    if (pause) redis.pause();
    else await redis.kill();
    ann.say("dark");
    pia.say("dark too");
    ann.request({ type: "ping" });
    await ann.nextOf("pong");
    assertEquals(await program.stop(), 0);
    assertEquals((await soon(ann.closed, "the end")).code, 1001);
    assertEquals((await soon(pia.closed, "the end")).code, 1001);
  });
}
