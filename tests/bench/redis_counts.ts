// What a bench asks Redis about itself, over a connection of its own. The
// counters only go up, so the difference of two readings is what was done
// between them.

export interface RedisCounts {
  /** Scripts that were run. */
  calls: number;
  /** To all its clients. */
  sentBytes: number;
}

/** Throws if Redis does not tell. */
export async function readRedisCounts(port: number): Promise<RedisCounts> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port });
  // Inline commands; the last one ends the connection.
  const ask = "INFO commandstats\r\nINFO stats\r\nQUIT\r\n";
  await connection.write(new TextEncoder().encode(ask));
  const text = await new Response(connection.readable).text();
  const calls = /^cmdstat_evalsha:calls=(\d+)/m.exec(text)?.[1] ?? 0;
  const sent = /^total_net_output_bytes:(\d+)/m.exec(text)?.[1];
  if (sent === undefined) throw new Error(`Redis answered: ${text}`);
  return { calls: Number(calls), sentBytes: Number(sent) };
}
