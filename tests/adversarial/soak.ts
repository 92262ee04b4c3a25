// A soak: attacks on the real program, one by one and measured, or mixed for as
// long as the flags say, while good clients talk and must lose nothing. As a
// program it is `deno task soak`. It prints its seed before anything else.
import { parseArgs } from "node:util";
import { conclude } from "../support/closing.ts";
import { type Attack, attacks, findAttack } from "./soak/attacks.ts";
import { isGood, measure, type Plan } from "./soak/measure.ts";
import { mix } from "./soak/mix.ts";
import { printHead, printRow } from "./soak/table.ts";

const USAGE = `Usage: soak.ts --attack NAME,… | --attacks | --minutes N
  [--seconds N] [--scale N] [--seed N] [--stop-mib N] [--grow-mib N]
Attacks:
${attacks.map(({ name, what }) => `  ${name.padEnd(21)} ${what}`).join("\n")}`;

function readArguments() {
  const { values } = parseArgs({
    options: {
      attack: { type: "string" },
      attacks: { type: "boolean", default: false },
      minutes: { type: "string" },
      seconds: { type: "string", default: "20" },
      scale: { type: "string", default: "1" },
      seed: { type: "string" },
      "stop-mib": { type: "string", default: "4096" },
      "grow-mib": { type: "string", default: "1024" },
    },
  });
  const random = crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;
  const plan: Plan = {
    seed: Number(values.seed ?? random),
    scale: Number(values.scale),
    seconds: Number(values.seconds),
    stopMib: Number(values["stop-mib"]),
    growMib: Number(values["grow-mib"]),
  };
  const minutes = Number(values.minutes ?? 0);
  const chosen: readonly (Attack | undefined)[] = values.attacks
    ? attacks
    : (values.attack?.split(",") ?? []).map(findAttack);
  const isWrong = [...Object.values(plan), minutes].some((n) => !(n >= 0)) ||
    (chosen.length === 0) === (minutes === 0);
  if (isWrong || chosen.includes(undefined)) {
    console.error(USAGE);
    Deno.exit(2);
  }
  return { plan, minutes, chosen: chosen.filter((it) => it !== undefined) };
}

async function main(): Promise<boolean> {
  const { plan, minutes, chosen } = readArguments();
  console.log(`Seed ${plan.seed}.`);
  if (minutes > 0) return await mix(plan, minutes);
  printHead();
  let isAllGood = true;
  for (const attack of chosen) {
    const row = await measure(attack, plan);
    printRow(row);
    if (!isGood(row)) isAllGood = false;
  }
  return isAllGood;
}

if (import.meta.main) conclude(await main());
