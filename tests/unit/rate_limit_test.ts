// What rate_limit.ts promises: a burst, then a rate, whatever the clock does.
// Time is passed in, so nothing here waits.
import { assertEquals } from "@std/assert";
import { TokenBucket } from "../../chat/ops/rate_limit.ts";

Deno.test("a burst passes, then one must wait for the next token", () => {
  const bucket = new TokenBucket(10, 3, 0);
  assertEquals([0, 0, 0, 100], [0, 0, 0, 0].map((now) => bucket.take(now)));
});

Deno.test("tokens come back at the rate and never exceed the burst", () => {
  const bucket = new TokenBucket(10, 2, 0);
  bucket.take(0);
  bucket.take(0);
  assertEquals(bucket.take(50), 50);
  assertEquals(bucket.take(100), 0);
  assertEquals(bucket.take(60_000), 0);
  assertEquals(bucket.take(60_000), 0);
  assertEquals(bucket.take(60_000), 100);
});

Deno.test("a rate of 0 lets everything through", () => {
  const bucket = new TokenBucket(0, 1, 0);
  for (let i = 0; i < 1_000; i++) assertEquals(bucket.take(0), 0);
});

Deno.test("a clock set back neither drains nor fills the bucket", () => {
  const bucket = new TokenBucket(1, 2, 10_000);
  assertEquals(bucket.take(0), 0);
  assertEquals(bucket.take(0), 0);
  assertEquals(bucket.take(0), 1_000);
});

Deno.test("to peek tells what a token would cost and takes none", () => {
  const bucket = new TokenBucket(2, 1, 0);
  assertEquals([bucket.peek(0), bucket.peek(0), bucket.take(0)], [0, 0, 0]);
  assertEquals([bucket.peek(0), bucket.peek(100)], [500, 400]);
  assertEquals([bucket.peek(500), bucket.take(500), bucket.take(500)], [
    0,
    0,
    500,
  ]);
});
