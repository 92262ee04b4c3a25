// RedisLog against a real Redis: the contract of the other logs first, then
// what only several servers have.
import { RedisLog } from "../../chat/log_redis.ts";
import { testLog } from "../log_contract.ts";
import { type Redis, redisBinaries, redisTest, startRedis } from "../redis.ts";

const redises = new WeakMap<RedisLog, Redis>();

async function open(binary: string | undefined, keep: number) {
  const redis = await startRedis(binary === undefined ? {} : { binary });
  const log = await RedisLog.open(
    { url: redis.url, ca: "", keep, leaseMs: 15_000 },
    { random: Math.random, told: () => {} },
  );
  redises.set(log, redis);
  return log;
}

for (const binary of redisBinaries()) {
  testLog(`RedisLog on ${binary}`, (keep) => open(binary, keep), {
    register: redisTest,
    close: async (log) => {
      await log.close();
      await redises.get(log)?.[Symbol.asyncDispose]();
    },
  });
}
