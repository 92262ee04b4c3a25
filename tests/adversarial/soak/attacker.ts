// The process of an attack, or of a part of one. A line of JSON on stdin says
// which; lines on stdout say how it goes. It ends when its stdin does, so it
// does not outlive the soak, and the system closes what it had open.
import { Dice } from "../../stress/dice.ts";
import { findAttack } from "./attacks.ts";
import { Field, type Share } from "./field.ts";

/** What it is told. */
export interface Orders {
  attack: string;
  port: number;
  seed: number;
  share: Share;
}

/** What it tells, line by line. */
export interface Report {
  state: "begins" | "goes on" | "is done";
  tally: Record<string, number>;
}

const REPORT_EVERY_MS = 500;

async function attack(orders: Orders): Promise<void> {
  let state: Report["state"] = "begins";
  const { port, seed, share } = orders;
  const field = new Field(port, share, new Dice(seed, share.index), () => {
    state = "goes on";
    report();
  });
  const report = () => {
    const { tally } = field;
    console.log(JSON.stringify({ state, tally } satisfies Report));
  };
  setInterval(report, REPORT_EVERY_MS);
  await findAttack(orders.attack)?.run(field);
  state = "is done";
  report();
}

async function main(): Promise<void> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of Deno.stdin.readable) {
    const isKnown = text.includes("\n");
    text += decoder.decode(chunk, { stream: true });
    if (!isKnown && text.includes("\n")) attack(JSON.parse(text));
  }
  Deno.exit();
}

if (import.meta.main) await main();
