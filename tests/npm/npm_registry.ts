/**
 * A registry for npm's own client, with one package.
 *
 * @module
 */

/** The package that it may have. */
export const NAME: string = "@scope/name";

/** Disposal ends it. */
export class NpmRegistry implements AsyncDisposable {
  /** Absent where the registry does not know the package. */
  versions: string[] | undefined;
  /** What it answers every request with, where it is not 200. */
  status = 200;
  /** What it was sent. */
  readonly published: { version: string; tag: string; bytes: number }[] = [];
  readonly #server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    (request) => this.#answer(request),
  );

  /** Where it listens. */
  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}/`;
  }

  async #answer(request: Request): Promise<Response> {
    if (this.status !== 200) return new Response("{}", { status: this.status });
    if (request.method === "PUT") {
      const sent = await request.json();
      const [tag = ""] = Object.keys(sent["dist-tags"]);
      const [attachment] = Object.values(sent._attachments) as { length: number }[];
      const version = sent["dist-tags"][tag];
      this.published.push({ version, tag, bytes: attachment!.length });
      (this.versions ??= []).push(version);
      return Response.json({ ok: true }, { status: 201 });
    }
    if (this.versions === undefined) return Response.json({ error: "Not found" }, { status: 404 });
    const latest = this.versions.at(-1);
    return Response.json({
      name: NAME,
      "dist-tags": { latest },
      versions: Object.fromEntries(
        this.versions.map((version) => [version, { name: NAME, version, dist: {} }]),
      ),
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}
