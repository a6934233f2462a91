/** What a registry of prom-client says, read from the text that a scrape gets. */

/** The part of a registry that is read. */
export interface Scraped {
  metrics(): Promise<string>;
}

/** The value of each line of a scrape, by its name with its labels. */
export async function samplesOf(registry: Scraped): Promise<Map<string, number>> {
  const lines = (await registry.metrics()).split("\n");
  return new Map(
    lines.filter((line) => line !== "" && !line.startsWith("#")).map((line) => {
      const space = line.lastIndexOf(" ");
      return [line.slice(0, space), Number(line.slice(space + 1))];
    }),
  );
}
