// A small chat as the assignment wants it, but for the fault that it is started with,
// and which checks find which fault. Some servers are unusual and right; they must
// pass all checks.
import { Opcode } from "../../chat/check/frames.ts";
import {
  type App,
  FAR_MS,
  type Faults,
  type Has,
  type Peer,
} from "./mutant.ts";

export const CHAT_FAULTS: Faults = {
  "a message is no JSON": ["chat-json"],
  "the sender is a number": ["chat-json"],
  "the text is in another field": ["chat-json"],
  "text comes in binary frames": ["chat-json"],
  "a message does not go to its sender": ["chat-to-sender"],
  "a message goes to its sender only": ["chat-to-everyone"],
  "a message does not go to the newest client": ["chat-to-everyone"],
  "a message comes twice": ["chat-once"],
  "a message comes twice to its sender": ["chat-once"],
  "every second message comes later": ["chat-order"],
  "a client may send 20 messages": ["chat-burst"],
  "message 21 of a client ends its connection": ["chat-burst"],
  "message 150 of a client is lost": ["chat-burst"],
  "a client hears others later than itself": ["chat-one-order"],
  "a name changes with each message": ["chat-name-stays"],
  "a name is empty": ["chat-name-stays"],
  "a client is called You for itself": ["chat-name-same-for-all"],
  "all clients have one name": ["chat-names-unique"],
  "there are 40 names": ["chat-names-unique"],
  "a name is the number of clients": ["chat-name-of-newcomer"],
  "markup is escaped": ["chat-text-markup"],
  "JSON is put together from strings": ["chat-text-quotes", "chat-text-lines"],
  "line breaks become spaces": ["chat-text-lines"],
  "texts are trimmed": ["chat-text-lines"],
  "words stand before a text": [
    "chat-text-markup",
    "chat-text-quotes",
    "chat-text-lines",
    "chat-text-emoji",
    "chat-text-combining",
    "chat-text-right-to-left",
    "chat-text-long",
  ],
  "characters beyond U+FFFF are lost": ["chat-text-emoji"],
  "text is composed": ["chat-text-combining"],
  "marks of direction are lost": ["chat-text-right-to-left"],
  "text is cut at 1,024 characters": ["chat-text-long"],
  "long text is refused": ["chat-text-long"],
  "a message of over 4,096 bytes is refused": ["chat-text-long"],
  "an emoji ends the connection": ["chat-text-emoji"],
  "JSON of a client is passed on": ["chat-text-json"],
  "a client may name itself in JSON": ["chat-text-json"],
  "JSON of a client is lost": ["chat-text-json"],
  "a closing is not told": ["chat-leave-close"],
  "a loss is not told": ["chat-leave-lost"],
  "no leaving is told": ["chat-leave-close", "chat-leave-lost"],
  "a notice is plain text": ["chat-leave-close", "chat-leave-lost"],
  "one client is told of a leaving": ["chat-leave-close", "chat-leave-lost"],
  "a notice has no name": [
    "chat-leave-close?",
    "chat-leave-lost?",
    "chat-leave-broadcast-told?",
  ],
  "a notice has another name": [
    "chat-leave-close?",
    "chat-leave-lost?",
    "chat-leave-broadcast-told?",
  ],
  "a lost client ends a broadcast": ["chat-leave-broadcast"],
  "a loss that a broadcast finds is not told": ["chat-leave-broadcast-told"],
  "a broadcast waits for each client": ["chat-not-reading"],
  "garbage ends all connections": ["chat-garbage"],
  "after garbage nobody comes in": ["chat-serves-at-end"],
};

/** What a right server may do. */
export const UNUSUAL = [
  "it tells more than messages",
  "somebody else talks all the time",
  "joining takes a moment",
  "newcomers get the history",
  "names are numbers",
  "a notice is no message",
];

/** How much later something comes that is late, in ms. */
const LATER_MS = 20;

function isOver(text: string): boolean {
  return new TextEncoder().encode(text).length > 4_096;
}

interface Member {
  peer: Peer;
  name: string;
  said: number;
  /** What waits to come later to this member. */
  timers: Set<ReturnType<typeof setTimeout>>;
  /** What it said before it was in the room; undefined when it is in. */
  early: string[] | undefined;
}

export class Chat implements App {
  /** In the order in which they came. */
  #members: Member[] = [];
  /** Clients that are not yet in the room. */
  readonly #waiting = new Map<Peer, Member>();
  /** Clients that are gone, for faults that find that out later. */
  readonly #lost = new Set<Member>();
  readonly #history: string[] = [];
  #joined = 0;
  #said = 0;
  #isShut = false;
  /** The broadcasts before, for the fault that they wait for each client. */
  #sending: Promise<void> = Promise.resolve();

  constructor(private readonly has: Has) {}

  opened(peer: Peer): void {
    if (this.#isShut) return;
    const name = this.#newName();
    const early = this.has("joining takes a moment") ? [] : undefined;
    const member = {
      peer,
      name,
      said: 0,
      timers: new Set<ReturnType<typeof setTimeout>>(),
      early,
    };
    if (!early) return this.#join(member);
    this.#waiting.set(peer, member);
    this.#later(member, () => this.#join(member));
  }

  #newName(): string {
    const { has } = this;
    this.#joined++;
    if (has("all clients have one name")) return "client";
    if (has("a name is empty")) return "";
    if (has("names are numbers")) return `${this.#joined}`;
    if (has("there are 40 names")) return `client-${this.#joined % 40}`;
    return has("a name is the number of clients")
      ? `client-${this.#members.length + 1}`
      : `client-${this.#joined}`;
  }

  #join(member: Member): void {
    this.#waiting.delete(member.peer);
    this.#members.push(member);
    if (this.has("newcomers get the history")) {
      for (const raw of this.#history) this.#send(member, raw);
    }
    if (this.has("it tells more than messages")) {
      this.#send(member, "Welcome!");
      this.#send(member, JSON.stringify({ type: "members", count: 3 }));
      const { name } = member;
      this.#tell({ sender: "server", message: `${name} has joined` });
    }
    const { early = [] } = member;
    member.early = undefined;
    for (const text of early) this.#say(member, text);
  }

  received(peer: Peer, payload: Uint8Array, opcode: number): void {
    if (opcode !== Opcode.text) return;
    const text = new TextDecoder().decode(payload);
    this.#waiting.get(peer)?.early?.push(text);
    const member = this.#memberOf(peer);
    if (!member) return;
    if (!this.has("it is far away")) return this.#say(member, text);
    this.#later(member, () => this.#say(member, text), FAR_MS);
  }

  #memberOf(peer: Peer): Member | undefined {
    return this.#members.find((member) => member.peer === peer);
  }

  /** A member says something. */
  #say(member: Member, text: string): void {
    const { has } = this;
    member.said++;
    this.#said++;
    if (has("a client may send 20 messages") && member.said > 20) {
      return this.#send(member, JSON.stringify({ error: "Too fast." }));
    }
    if (has("message 21 of a client ends its connection")) {
      if (member.said === 21) member.peer.close(1008);
      if (member.said > 20) return;
    }
    if (has("message 150 of a client is lost") && member.said === 150) return;
    if (has("long text is refused") && text.length > 2_000) return;
    if (has("a message of over 4,096 bytes is refused") && isOver(text)) return;
    if (has("an emoji ends the connection") && text.includes("\u{1F389}")) {
      return member.peer.cut();
    }
    if (has("JSON of a client is lost") && text.startsWith("{")) return;
    if (has("somebody else talks all the time")) {
      this.#tell({ sender: "stranger", message: `Message ${this.#said}` });
    }
    this.#broadcast(member, text);
    if (has("it tells more than messages")) {
      this.#send(member, JSON.stringify({ type: "error", message: "Slower!" }));
    }
  }

  #broadcast(from: Member, text: string): void {
    const { has } = this;
    const isLate = has("every second message comes later") &&
      this.#said % 2 === 0;
    const receivers = this.#receiversOf(from);
    for (const to of receivers) {
      if (this.#lost.has(to) && this.#finds(to)) return;
      const raw = this.#encode(from, to, text);
      const isLater = isLate ||
        has("a client hears others later than itself") && to !== from;
      if (isLater) this.#later(to, () => this.#send(to, raw));
      else this.#send(to, raw);
    }
    this.#history.push(this.#encode(from, undefined, text));
    if (this.#history.length > 20) this.#history.shift();
  }

  /** A broadcast finds that this client is lost; whether it ends then. */
  #finds(lost: Member): boolean {
    this.#lost.delete(lost);
    this.#members = this.#members.filter((member) => member !== lost);
    return this.has("a lost client ends a broadcast");
  }

  #receiversOf(from: Member): Member[] {
    const { has } = this;
    const all = [...this.#members];
    if (has("a message goes to its sender only")) return [from];
    if (has("a message does not go to its sender")) {
      return all.filter((member) => member !== from);
    }
    if (has("a message does not go to the newest client")) {
      const newest = all.length > 1 ? all.pop() : undefined;
      return newest === from ? [...all, from] : all;
    }
    if (has("a message comes twice")) return [...all, ...all];
    return has("a message comes twice to its sender") ? [...all, from] : all;
  }

  /** A message as `to` gets it. */
  #encode(from: Member, to: Member | undefined, text: string): string {
    const { has } = this;
    const sender = this.#senderOf(from, to, text);
    const message = this.#changed(text);
    if (has("fields have other names")) {
      return JSON.stringify({ name: sender, text: message });
    }
    if (has("a message is no JSON")) return `${sender}: ${message}`;
    if (has("the sender is a number")) {
      return JSON.stringify({ sender: this.#joined, message });
    }
    if (has("the text is in another field")) {
      return JSON.stringify({ sender, text: message });
    }
    if (has("JSON is put together from strings")) {
      return `{"sender": "${sender}", "message": "${message}"}`;
    }
    const given = text.startsWith("{") ? JSON.parse(text) : {};
    return has("JSON of a client is passed on")
      ? JSON.stringify({ sender, message, ...given })
      : JSON.stringify({ sender, message });
  }

  #senderOf(from: Member, to: Member | undefined, text: string): string {
    const { has } = this;
    const isItself = to === from;
    if (isItself && has("a client is called You for itself")) return "You";
    if (has("a name changes with each message")) {
      return `${from.name}-${from.said}`;
    }
    const isNamed = has("a client may name itself in JSON") &&
      text.startsWith("{");
    return isNamed ? JSON.parse(text).sender : from.name;
  }

  #changed(text: string): string {
    const { has } = this;
    if (has("markup is escaped")) {
      return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
    }
    if (has("line breaks become spaces")) return text.replace(/\s/g, " ");
    if (has("characters beyond U+FFFF are lost")) {
      return text.replace(/[\u{10000}-\u{10ffff}]/gu, "");
    }
    if (has("texts are trimmed")) return text.trim();
    if (has("words stand before a text")) return `echo: ${text}`;
    if (has("text is composed")) return text.normalize("NFC");
    if (has("marks of direction are lost")) {
      return text.replace(/[\u200e\u200f\u2066-\u2069]/g, "");
    }
    return has("text is cut at 1,024 characters") ? text.slice(0, 1_024) : text;
  }

  gone(peer: Peer): void {
    const member = this.#memberOf(peer) ?? this.#waiting.get(peer);
    this.#waiting.delete(peer);
    if (peer.end === "refused") this.#sawGarbage();
    if (!member) return;
    for (const timer of member.timers) clearTimeout(timer);
    const { has } = this;
    const isFoundLater = has("a lost client ends a broadcast") ||
      has("a loss that a broadcast finds is not told");
    if (isFoundLater && peer.end === "lost") return this.#isLost(member);
    this.#members = this.#members.filter((other) => other !== member);
    if (peer.end === "closed" && has("a closing is not told")) return;
    if (peer.end === "lost" && has("a loss is not told")) return;
    if (!has("no leaving is told")) this.#tellLeave(member);
  }

  #sawGarbage(): void {
    if (this.has("after garbage nobody comes in")) this.#isShut = true;
    if (!this.has("garbage ends all connections")) return;
    for (const { peer } of this.#members) peer.cut();
  }

  /** It stays in the room until a broadcast finds it. */
  #isLost(member: Member): void {
    this.#lost.add(member);
    if (this.has("a lost client ends a broadcast")) {
      return this.#tellLeave(member);
    }
    const remaining = this.#members.findLast((one) => !this.#lost.has(one));
    if (!remaining) return;
    this.#later(remaining, () => {
      if (!this.#lost.has(member)) return;
      this.#finds(member);
      this.#tellLeave(member);
    });
  }

  #tellLeave({ name }: Member): void {
    const { has } = this;
    if (has("somebody else talks all the time")) {
      this.#tell({ sender: "stranger", message: "Is anybody here?" });
    }
    if (has("a notice is no message")) {
      return this.#tell({ type: "left", who: { name } });
    }
    if (has("a notice is plain text")) {
      return this.#members.forEach((to) => this.#send(to, `${name} has left.`));
    }
    const message = has("a notice has no name")
      ? "Client disconnected"
      : `${name}${has("a notice has another name") ? "0" : ""} has left`;
    const notice = { sender: "server", message };
    if (!has("one client is told of a leaving")) return this.#tell(notice);
    const [first] = this.#members;
    if (first) this.#send(first, JSON.stringify(notice));
  }

  /** Sends an event to everyone. */
  #tell(event: unknown): void {
    const raw = JSON.stringify(event);
    for (const member of this.#members) this.#send(member, raw);
  }

  #send({ peer }: Member, raw: string): void {
    if (!this.has("a broadcast waits for each client")) {
      return peer.send(Opcode.text, raw);
    }
    this.#sending = this.#sending.then(() => {
      peer.send(Opcode.text, raw);
      return peer.sent;
    });
  }

  /** Runs unless the member is gone by then. */
  #later(member: Member, run: () => void, ms = LATER_MS): void {
    const timer = setTimeout(() => {
      member.timers.delete(timer);
      run();
    }, ms);
    member.timers.add(timer);
  }
}
