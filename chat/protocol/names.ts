// Names: how two friendly words such as "calm-otter" are chosen for a person,
// which names a person may choose, and when two names are the same. The caller
// says which names are taken. look_alikes.ts says when two names look the same.
import { lookOf, scriptProblem } from "./look_alikes.ts";

const adjectives = `
able agile airy alert amber ample aqua azure basic beaming bold bonny bouncy
brave breezy bright brisk bubbly calm candid careful caring casual cheery
chief chirpy civil classy clean clear clever cloudy coastal cosmic cosy
crafty creamy crisp curious curly dapper daring dazzling dear decent deft
dewy dreamy eager early earnest easy elegant epic fabled fair famous fancy
fast fearless festive fine firm fleet floral fluffy fond frank free fresh
frosty funky gallant genial gentle giddy gifted glad gleaming glossy golden
good grand grateful happy hardy hearty helpful honest hopeful humble icy
ideal jaunty jazzy jolly jovial joyful keen kind lively loyal lucid lucky
lunar magic mellow merry mighty mild minty misty modest musical neat nifty
nimble noble oaken open orderly patient peachy perky placid playful plucky
poetic polite posh precise prime proud quick quiet radiant rapid ready regal
robust rosy royal ruby rustic sandy scenic serene sharp shiny silken silver
simple sincere sleek smart smiling smooth snappy snowy snug sociable solar
sonic spry stable starry steady stellar still stoic sturdy subtle sunny
super supple sure swift tall tangy tender thankful tidy timely tranquil trim
true trusty twinkly upbeat urban useful valiant vast velvet vibrant vivid
warm wavy whimsical wise witty woolly worthy young zany zesty zippy
`.trim().split(/\s+/);

const animals = `
alpaca ant antelope badger barbet bat beagle bear beaver bee beetle bison
bobcat bonobo buffalo bunny camel canary caribou cat cheetah chipmunk cicada
clam cobra cod colt condor coral corgi cougar coyote crab crane cricket crow
cuckoo curlew dingo dolphin donkey dove dragonfly duck eagle echidna eel
egret eland elk emu falcon fawn ferret finch firefly flamingo fox frog
gannet gazelle gecko gerbil gibbon giraffe gnu goat goose gopher grebe
grouse gull guppy hamster hare harrier hawk hedgehog heron hippo hoopoe
horse husky ibex ibis iguana impala jackal jackdaw jaguar jay kestrel kite
kitten kiwi koala kudu ladybird lark lemur leopard limpet linnet lion lizard
llama lobster loris lynx macaw magpie mallard manatee marlin marmot marten
meerkat merlin mink minnow mole moose moth mouse narwhal newt numbat ocelot
octopus okapi orca oriole osprey ostrich otter owl oyster panda panther
parrot pelican penguin perch petrel pheasant pigeon piglet pika pike pipit
platypus plover pony poodle possum puffin puma python quail quokka rabbit
raccoon raven redwing reindeer robin rook salmon sandpiper scallop seal
shark sheep shrew shrimp siskin skylark sloth snail snipe spaniel sparrow
sparrowhawk squid squirrel starfish starling stoat stork sturgeon swallow
swan swift tapir tern terrier thrush tiger toad toucan trout tuna turkey
turtle viper vole vulture wagtail walrus warbler weasel whale wigeon wolf
wombat woodcock wren yak zebra
`.trim().split(/\s+/);

const TRIES = 32;

const pick = (words: string[], random: () => number): string =>
  words[Math.floor(random() * words.length)] ?? "";

/** Two words that are not taken; undefined if a few tries found none. */
export function makeName(
  isTaken: (name: string) => boolean,
  random: () => number,
): string | undefined {
  for (let tries = 0; tries < TRIES; tries++) {
    const name = `${pick(adjectives, random)}-${pick(animals, random)}`;
    if (!isTaken(name)) return name;
  }
}

/** A word and a number, for when most pairs of words are in use. */
export function makeNumberedName(number: number, random: () => number): string {
  return `${pick(animals, random)}-${number}`;
}

/** Whether a name carries a number. */
export function isNumbered(name: string): boolean {
  return /-\d+$/.test(name);
}

/** Longest name, in characters (Unicode code points). */
export const MAX_NAME_CHARS = 24;

/**
 * Says in a sentence why nobody can have this name; undefined if somebody can.
 * Letters and digits of any script are allowed, with the marks they need.
 */
export function nameProblem(name: string): string | undefined {
  const tooLong = `A name has at most ${MAX_NAME_CHARS} characters.`;
  // First of all, because normalising a long text of combining marks takes
  // seconds.
  if (name.length > 2 * MAX_NAME_CHARS) return tooLong;
  const folded = name.normalize("NFKC");
  if ([...folded].length > MAX_NAME_CHARS) return tooLong;
  const isWellFormed = /^[\p{L}\p{N}_-][\p{L}\p{M}\p{N}_ -]*$/u.test(folded) &&
    !/\p{Default_Ignorable_Code_Point}| {2}| $|\p{M}{4}/u.test(folded);
  if (!isWellFormed) {
    return "A name consists of letters, digits, - and _, with single spaces " +
      "between them.";
  }
  return scriptProblem(folded) ?? imitationProblem(name);
}

/** Why a name that looks like one of this server's own cannot be, or undefined. */
function imitationProblem(name: string): string | undefined {
  const look = lookOf(name);
  if (look === lookOf("server") || foldName(name) === "server") {
    return "That name, and what looks like it, is reserved for the server. Choose " +
      "another.";
  }
  const made = madeNameWith(look);
  return made === undefined || made === foldName(name)
    ? undefined
    : `That name looks like "${made}", and newcomers get such names from the ` +
      "server. Choose another.";
}

const byLook = (words: string[]) =>
  new Map(words.map((word) => [lookOf(word), word]));
const adjectivesByLook = byLook(adjectives);
const animalsByLook = byLook(animals);

/** The name made here that has this look, if there is one. */
function madeNameWith(look: string): string | undefined {
  const [first = "", second = "", ...rest] = look.split("-");
  if (rest.length > 0) return undefined;
  const animal = animalsByLook.get(first);
  if (animal !== undefined && /^[\dlo]+$/.test(second)) {
    return `${animal}-${second.replaceAll("l", "1").replaceAll("o", "0")}`;
  }
  const words = [adjectivesByLook.get(first), animalsByLook.get(second)];
  return words.includes(undefined) ? undefined : words.join("-");
}

/** The answer to a wish for a name that somebody else has. */
export function takenProblem(name: string): string {
  return `"${name}" is taken, or looks like a name that is. Choose another.`;
}

/**
 * A name in the form in which equal names are the same text: neither case nor
 * the width of look-alikes counts (Unicode NFKC, then case folded).
 */
export function foldName(name: string): string {
  // Names that are made here are folded already.
  if (/^[a-z\d-]*$/.test(name)) return name;
  return name.normalize("NFKC").replace(/\s+/g, " ").toUpperCase()
    .toLowerCase();
}
