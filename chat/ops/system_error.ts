// Says in plain words why the operating system refused something, for the
// operator: Deno's own message ends in a number.

const REASONS: Record<string, string> = {
  EACCES: "this program does not have the permission",
  EADDRINUSE: "another program uses this port",
  EADDRNOTAVAIL: "this machine does not have this address",
  EAFNOSUPPORT: "this machine does not have this kind of address",
  EINVAL: "the operating system rejects it",
  EIO: "the disk cannot be read or written",
  EISDIR: "it is a folder, not a file",
  EMFILE: "too many files and connections are open",
  ENFILE: "too many files and connections are open",
  ENOENT: "there is no such file",
  ENOSPC: "the disk is full",
  ENOTDIR: "a part of its path is not a folder",
  EPERM: "this program does not have the permission",
  EROFS: "the disk is read-only",
};

/** Why `error` happened, without a full stop and without a number. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code } = error as Error & { code?: string };
  const known = REASONS[code ?? ""];
  if (known !== undefined) return known;
  if (error.message.startsWith("failed to lookup address")) {
    return "there is no such host";
  }
  // "Text (os error 22): call '/path'": only the text is for people.
  const numberAt = error.message.indexOf(" (os error ");
  return numberAt < 0 ? error.message : error.message.slice(0, numberAt);
}
