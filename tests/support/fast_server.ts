// A server whose timers and monotonic clock run faster than real ones, so that
// a deadline of seconds comes soon. Started as a process of its own, it prints
// its port. The only argument is how many times faster the clocks run.
const factor = Number(Deno.args[0]);
const { setTimeout: setRealTimeout } = globalThis;
const realNow = performance.now.bind(performance);
performance.now = () => realNow() * factor;
globalThis.setTimeout =
  ((handle: () => void, ms = 0, ...args: []) =>
    setRealTimeout(handle, ms / factor, ...args)) as typeof setTimeout;

const { startServer } = await import("./harness.ts");
const server = await startServer();
console.log(server.port);
