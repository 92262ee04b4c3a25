// Which checks belong to which profile, in the order in which they run: what others
// need comes first.
import type { Check, Profile } from "./check.ts";
import { control } from "./rfc6455/control.ts";
import { binaryBack, framing, textBack } from "./rfc6455/framing.ts";
import { handshake } from "./rfc6455/handshake.ts";
import { robustness } from "./rfc6455/robustness.ts";
import { leaving } from "./chat/leaving.ts";
import { load } from "./chat/load.ts";
import { messages } from "./chat/messages.ts";
import { names } from "./chat/names.ts";
import { texts } from "./chat/texts.ts";
import { v1 } from "./v1.ts";

const RFC6455 = [...handshake, textBack, ...control, ...framing, ...robustness];

// A chat has no use for binary messages, so it is not asked whether they come back.
// One that never met any may end by them: that is the matter of `chat-garbage`.
const CHAT = [...messages, ...names, ...texts, ...leaving, ...load];

export function checksOf(profile: Profile): readonly Check[] {
  switch (profile) {
    case "rfc6455":
      return RFC6455;
    case "chat":
      return [...RFC6455.filter((it) => it !== binaryBack), ...CHAT];
    case "partyline.v1":
      return v1;
  }
}
