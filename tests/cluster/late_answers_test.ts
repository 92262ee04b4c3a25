// What a server sent to Redis and gave up may still arrive: over a connection
// that was lost, before or after it was sent again, or after its sender was
// told. Nothing is done twice, and nothing too late.
import { assertEquals } from "@std/assert";
import { Metrics } from "../../chat/ops/metrics.ts";
import { soon, startServer, until } from "../support/harness.ts";
import { redisTest, startRedis } from "../support/redis.ts";
import { startTcpProxy } from "../support/tcp_proxy.ts";
import { drop, hear, textsOf, Watcher } from "./nodes.ts";

const has = (bytes: Uint8Array, text: string) =>
  new TextDecoder().decode(bytes).includes(text);

redisTest(
  "a message that arrives once more over a lost connection is not stored twice",
  async () => {
    await using redis = await startRedis();
    const gates = {
      wasRefused: Promise.withResolvers<void>(),
      wasHeld: Promise.withResolvers<void>(),
      isTold: Promise.withResolvers<void>(),
      isOver: Promise.withResolvers<void>(),
      wasDone: Promise.withResolvers<void>(),
    };
    const { wasRefused, wasHeld, isTold, isOver, wasDone } = gates;
    let connections = 0;
    let isHolding = false;
    await using network = startTcpProxy(redis.port, () => {
      const isFirst = connections++ === 0;
      let isLost = false;
      return async (bytes, from) => {
        if (!isFirst || !isHolding) return "pass";
        if (from === "client") {
          if (!has(bytes, "once")) return "pass";
          wasHeld.resolve();
          await isOver.promise;
          return "pass";
        }
        if (isLost) {
          if (has(bytes, "once")) wasDone.resolve();
          return "drop";
        }
        wasRefused.resolve();
        await isTold.promise;
        isLost = true;
        return "pass";
      };
    });
    await using stack = new AsyncDisposableStack();
    stack.defer(() => Object.values(gates).forEach((gate) => gate.resolve()));
    await using node = await startServer({
      data: `redis://127.0.0.1:${network.port}`,
    });
    await using ann = await drop(node, "I am Ann");
    await using bob = await drop(
      { ...node, ws: `${node.ws}?room=other` },
      "I am Bob",
    );
    // A command fails, which loses the connection; but the server does not
    // hear of it before it has sent the next one.
    await redis.command("SCRIPT", "FLUSH");
    isHolding = true;
    bob.say("unlucky");
    await soon(wasRefused.promise, "an error");
    ann.say("once");
    await soon(wasHeld.promise, "the first try");
    isTold.resolve();
    await hear(ann, "once");
    await hear(bob, "unlucky");
    isOver.resolve();
    await soon(wasDone.promise, "the end of the first try");
    ann.say("after");
    await hear(ann, "after");
    assertEquals(textsOf(ann), ["I am Ann", "once", "after"]);
  },
);

redisTest(
  "a message whose answer was lost is asked for again, and not stored twice",
  async () => {
    await using redis = await startRedis();
    let isCutting = false;
    await using network = startTcpProxy(redis.port, () => (bytes, from) => {
      if (!isCutting || from === "client" || !has(bytes, "once")) return "pass";
      isCutting = false;
      return "end";
    });
    await using node = await startServer({
      data: `redis://127.0.0.1:${network.port}`,
    });
    await using ann = await drop(node, "I am Ann");
    isCutting = true;
    ann.say("once");
    await hear(ann, "once");
    assertEquals(isCutting, false);
    ann.say("after");
    await hear(ann, "after");
    assertEquals(textsOf(ann), ["I am Ann", "once", "after"]);
    assertEquals(ann.heard.filter(({ type }) => type === "error"), []);
  },
);

/** A Redis, and a server on it which never hears of what is done with `text`. */
async function startDeaf(text: string) {
  const stack = new AsyncDisposableStack();
  const redis = stack.use(await startRedis());
  let isAsked = false;
  let isCut = false;
  const network = stack.use(startTcpProxy(redis.port, () => (bytes, from) => {
    if (isCut) return "pass";
    if (from === "client") {
      isAsked ||= has(bytes, text);
      return "pass";
    }
    isCut = isAsked;
    return isCut ? "end" : "pass";
  }));
  const data = `redis://127.0.0.1:${network.port}`;
  const metrics = new Metrics();
  const { ws } = stack.use(await startServer({ data }, { metrics }));
  return {
    ws,
    isBack: () => until(() => metrics.isStoreWritable, "Redis"),
    get isCut() {
      return isCut;
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

redisTest(
  "a name that was given without anybody hearing of it can be had again",
  async () => {
    await using deaf = await startDeaf("Annabel");
    const { ws } = deaf;
    const wish = { history: 0, name: "Annabel" };
    const refused = await Watcher.join(ws, wish).catch((error) => error);
    assertEquals(`${refused}`, "Error: closed with 1013");
    assertEquals(deaf.isCut, true);
    await deaf.isBack();
    await using annabel = await Watcher.join(ws, wish);
    assertEquals(annabel.name, "Annabel");
  },
);

redisTest(
  "a rename that nobody heard of did not happen, and can be tried again",
  async () => {
    await using deaf = await startDeaf("Annabel");
    const { ws } = deaf;
    await using bob = await Watcher.join(ws, { name: "Bob" });
    const ann = await Watcher.join(ws, { name: "Ann" });
    ann.request({ type: "rename", name: "Annabel" });
    await until(() => ann.errors.includes("log_unavailable"), "an error");
    assertEquals(deaf.isCut, true);
    await deaf.isBack();
    await ann[Symbol.asyncDispose]();
    await using again = await Watcher.join(ws, { key: ann.key });
    assertEquals(again.name, "Ann");
    again.request({ type: "rename", name: "Annabel" });
    await until(() => bob.names.join() === "Annabel,Bob", "the new name");
  },
);
