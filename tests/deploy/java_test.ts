// Java's HttpClient against the server; its WebSocket is among the examples. Deno
// 2.8.3 to 2.9.6 refuses both: see tests/server/java_bytes_test.ts, which notices when
// a newer one takes them again.
import { assertEquals } from "@std/assert";
import { find, pipe, skip } from "../support/clients.ts";
import { closeSections, isEndless } from "../support/close_page.ts";
import { hasNewHttp, startServer } from "../support/harness.ts";

const SOURCE = new URL("java/Get.java", import.meta.url).pathname;

const java = await find(["java"], "--version");
const skipped = hasNewHttp
  ? " (skipped: this Deno refuses Java)"
  : skip(java !== undefined, "java");

Deno.test({
  name: `Java's HttpClient, which offers h2c, is answered${skipped}`,
  ignore: skipped !== "",
  fn: async () => {
    await using server = await startServer();
    const end = await pipe(["java", SOURCE, `${server.http}/messages`], "");
    assertEquals(end, { code: 0, stdout: "GET 200\n", stderr: "" });
  },
});

/** Lines of the page about closes as a class, which says when they have run. */
function classOf(id: string, code: string): string {
  const name = `Lines_${id.replace("-", "_")}`;
  const lines = code.replace("import java.net.http.*;", "");
  return `class ${name} { static void run() throws Exception { ${lines}\n} }`;
}

Deno.test({
  name: `the lines in Java on the page about closes run${skipped}`,
  ignore: skipped !== "",
  fn: async () => {
    await using server = await startServer();
    const all = closeSections.flatMap(({ id, lines: { Java: code = "" } }) =>
      code === "" ? [] : [{ id, code }]
    );
    // Those without an end are compiled with the others.
    const ending = all.filter(({ code }) => !isEndless(code));
    const calls = ending.map(({ id }) =>
      `Lines_${id}.run(); System.out.println("ran ${id}");`
    );
    const source = `
      import java.net.*; import java.net.http.*;
      import java.util.*; import java.util.concurrent.*;
      class Main {
        public static void main(String[] args) throws Exception {
          ${calls.join("\n")}
        }
      }
      ${all.map(({ id, code }) => classOf(id, code)).join("\n")}`
      .replaceAll("localhost:8000", `127.0.0.1:${server.port}`);
    const folder = await Deno.makeTempDir();
    try {
      await Deno.writeTextFile(`${folder}/Main.java`, source);
      const end = await pipe(["java", `${folder}/Main.java`], "");
      const ran = [...end.stdout.matchAll(/^ran (\S+)$/gm)];
      assertEquals(ran.map(([, id]) => id), ending.map(({ id }) => id));
      assertEquals([end.code, end.stderr], [0, ""]);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
