// `partyline check URL`: reads the arguments, judges the server, prints the verdict.
// Ends with 0 if nothing failed, with 1 if something did, with 2 if it could not be
// run, or not to its end.
import { parseArgs } from "node:util";
import config from "../../deno.json" with { type: "json" };
import { reasonOf } from "../ops/system_error.ts";
import { printable, PROFILES } from "./check.ts";
import {
  type Address,
  Connection,
  NoConnection,
  TooLate,
} from "./connection.ts";
import { checksOf } from "./profiles.ts";
import {
  formatJson,
  formatJsonList,
  formatJunit,
  formatList,
  Lines,
} from "./report.ts";
import { judge, type Judging, type Verdict, WAITS_IN_ALL } from "./run.ts";
import { CheckError, quoted, readIds, selected } from "./selection.ts";

/** The longest wait for one answer, in seconds. */
const WAIT_S = 3;
const MAX_WAIT_S = 60;

const CHECK_HELP = `\
Judges a WebSocket server: what holds, what does not, and what would be right.

Usage: partyline check URL [options]

  URL               ws://HOST:PORT/PATH or wss://HOST:PORT/PATH
  --profile NAME    ${PROFILES.join(", ")} (chat)
                    rfc6455: the protocol. chat: the lesson's chat and rfc6455.
                    partyline.v1: recovery, repeats and refusals.
  --sender FIELD    field of a chat message with the sender's name (sender)
  --message FIELD   field of a chat message with the text (message)
  --only ID,ID…     only these checks; handshake- means all that begin so
  --except ID,ID…   all checks but these
  --list            print the checks, and do not run them
  --json            print the verdict, or the list, as JSON
  --junit           print the verdict as JUnit's XML
  --wait SECONDS    longest wait for one answer (${WAIT_S}); no check is begun
                    after ten waits in vain, and all end after ${WAITS_IN_ALL}
  --ca FILE         certificates to trust for wss:, in PEM form
  --version         print the version
  --help            print this text

Ends with 0 if nothing failed, 1 if something did, 2 if it could not be run, or
not to its end.`;

/**
 * Runs the command and returns the code to end with: 2 also if this program has a
 * fault, because then nothing is said of the server.
 */
export async function check(
  args: readonly string[],
  print: (line: string) => void,
  complain: (line: string) => void,
): Promise<number> {
  try {
    return await run(readCommand(args), print, complain);
  } catch (error) {
    complain(
      error instanceof CheckError
        ? `partyline check: ${printable(error.message)}`
        : faultOf(error),
    );
    return 2;
  }
}

function faultOf(error: unknown): string {
  return `partyline check has a fault. Please report it:\n${traceOf(error)}`;
}

function traceOf(error: unknown): string {
  const trace = error instanceof Error ? error.stack : undefined;
  return (trace ?? String(error)).split("\n").map(printable).join("\n");
}

type Command = ReturnType<typeof readCommand>;

async function run(
  command: Command,
  print: (line: string) => void,
  complain: (line: string) => void,
): Promise<number> {
  const { values, profile, only, except } = command;
  if (values.help || values.version) {
    print(values.help ? CHECK_HELP : `partyline ${config.version}`);
    return 0;
  }
  if (values.list) {
    const format = values.json ? formatJsonList : formatList;
    print(format(selected(checksOf(profile), only, except)));
    return 0;
  }
  const target = readTarget(command);
  await assertThere(target);
  const faults: unknown[] = [];
  const verdict = await tell(command, target, print, faults);
  for (const error of faults) complain(faultOf(error));
  if (verdict.ranOut) {
    complain(
      "partyline check: Not all checks could be tried in time. A longer " +
        "--wait, or a machine nearer to the server, helps.",
    );
  }
  if (faults.length > 0) return 2;
  if (verdict.failed > 0) return 1;
  return verdict.ranOut ? 2 : 0;
}

/** Judges the server and prints the verdict. */
async function tell(
  { values, profile, only, except }: Command,
  target: Judging["target"],
  print: (line: string) => void,
  faults: unknown[],
): Promise<Verdict> {
  const judging = {
    target,
    profile,
    only,
    except,
    onFault: (error: unknown) => faults.push(error),
  };
  if (values.json || values.junit) {
    const verdict = await judge(judging);
    print(values.json ? formatJson(verdict) : formatJunit(verdict));
    return verdict;
  }
  print(`${target.url.href}, profile ${profile}`);
  const lines = new Lines(print);
  const verdict = await judge({
    ...judging,
    onResult: (result) => lines.add(result),
  });
  lines.end(verdict);
  return verdict;
}

function readCommand(args: readonly string[]) {
  const { values, positionals } = parse(args);
  const profile = PROFILES.find((name) => name === values.profile);
  if (profile === undefined) {
    throw new CheckError(
      `--profile takes ${PROFILES.join(", ")}, not ${quoted(values.profile)}.`,
    );
  }
  const only = readIds("--only", values.only, profile);
  const except = readIds("--except", values.except, profile);
  if (selected(checksOf(profile), only, except).length === 0) {
    throw new CheckError("--only and --except leave no check.");
  }
  if (values.json && values.junit) {
    throw new CheckError("--json and --junit cannot be used together.");
  }
  return { values, positionals, profile, only, except };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        profile: { type: "string", default: "chat" },
        sender: { type: "string", default: "sender" },
        message: { type: "string", default: "message" },
        only: { type: "string", multiple: true },
        except: { type: "string", multiple: true },
        list: { type: "boolean" },
        json: { type: "boolean" },
        junit: { type: "boolean" },
        wait: { type: "string", default: `${WAIT_S}` },
        ca: { type: "string" },
        version: { type: "boolean", short: "V" },
        help: { type: "boolean", short: "h" },
      },
    });
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    const [sentence = ""] = error.message.split(". ");
    throw new CheckError(`${sentence}. See partyline check --help.`);
  }
}

function readTarget({ values, positionals }: Command): Judging["target"] {
  const { sender, message } = values;
  if (sender === "" || message === "" || sender === message) {
    throw new CheckError(
      "--sender and --message take the names of two fields, such as name and text.",
    );
  }
  const url = readUrl(positionals);
  return {
    url,
    address: addressOf(url, values.ca),
    waitMs: 1000 * readWait(values.wait),
    sender,
    message,
  };
}

/** A host with a port, or localhost, which a person writes without its scheme. */
const HOST = /^(([\w.-]+|\[[\da-f:.]+\]):\d+|localhost)([/?]|$)/i;

function readUrl([text, ...more]: string[]): URL {
  if (text === undefined) {
    throw new CheckError(
      "Name the server to judge, such as ws://localhost:9000/ws. See --help.",
    );
  }
  if (more.length > 0) {
    throw new CheckError(`Name one address, without ${quoted(more[0])}.`);
  }
  const url = URL.parse(text);
  if (url?.protocol === "http:" || url?.protocol === "https:") {
    const likely = text.replace(/^http/i, "ws");
    throw new CheckError(
      `A WebSocket's address begins with ws: or wss:. Did you mean ${likely}?`,
    );
  }
  if (url?.protocol !== "ws:" && url?.protocol !== "wss:") {
    const hint = HOST.test(text) && URL.canParse(`ws://${text}`)
      ? ` Did you mean ws://${text}?`
      : "";
    throw new CheckError(
      `${
        quoted(text)
      } is not an address such as ws://localhost:9000/ws.${hint}`,
    );
  }
  // RFC 6455 section 3.
  if (text.includes("#")) {
    throw new CheckError(`A WebSocket's address has no part after #.`);
  }
  if (url.username !== "" || url.password !== "") {
    throw new CheckError(
      "Leave the name and the password out of the address: they are not sent.",
    );
  }
  return url;
}

function addressOf({ protocol, hostname, port }: URL, ca?: string): Address {
  const isTls = protocol === "wss:";
  if (ca !== undefined && !isTls) {
    throw new CheckError("--ca is for wss:, because ws: has no certificate.");
  }
  return {
    hostname: hostname.replace(/^\[(.*)\]$/, "$1"),
    port: Number(port || (isTls ? 443 : 80)),
    isTls,
    ...ca !== undefined && { caCerts: [readCertificates(ca)] },
  };
}

function readCertificates(file: string): string {
  let text: string;
  try {
    text = Deno.readTextFileSync(file);
  } catch (error) {
    throw new CheckError(`${quoted(file)} cannot be read: ${reasonOf(error)}.`);
  }
  if (text.includes("-----BEGIN CERTIFICATE-----")) return text;
  throw new CheckError(`${quoted(file)} has no certificate in PEM form.`);
}

function readWait(text: string): number {
  const seconds = Number(text);
  if (text.trim() !== "" && seconds > 0 && seconds <= MAX_WAIT_S) {
    return seconds;
  }
  throw new CheckError(
    `--wait takes seconds up to ${MAX_WAIT_S}, not ${quoted(text)}.`,
  );
}

/** Without a server there is nothing to judge. */
async function assertThere({ url, address, waitMs }: Judging["target"]) {
  try {
    const untilMs = performance.now() + waitMs;
    using _connection = await Connection.open(address, untilMs);
  } catch (error) {
    if (!(error instanceof NoConnection) && !(error instanceof TooLate)) {
      throw error;
    }
    const reason = error instanceof TooLate
      ? `no answer within ${waitMs / 1000} s`
      : error.message;
    throw new CheckError(
      `No connection to ${url.host} can be opened (${reason}). ` +
        hintFor(reason, address),
    );
  }
}

function hintFor(reason: string, { isTls }: Address): string {
  if (!isTls) return "Is the server running, and is this its port?";
  return reason.includes("certificate")
    ? "Name the certificate with --ca if you made it yourself."
    : "Is the server running, is this its port, and does it speak TLS (wss:)?";
}
