import { assertEquals, assertRejects } from "@std/assert";
import { Viewer } from "../../src/dashboard/viewer.ts";

const EVENT = { event: "beat", data: 1 };

/** A viewer, and how often its end was reported. */
function scene() {
  const ended: Viewer[] = [];
  const viewer = new Viewer((each) => ended.push(each));
  return { viewer, ended };
}

Deno.test("Viewer reports its end once, and sends nothing after it", async () => {
  const { viewer, ended } = scene();
  viewer.send(EVENT);
  viewer.end();
  viewer.end();
  viewer.send(EVENT);
  assertEquals(ended, [viewer]);
  assertEquals(await new Response(viewer.body).text(), "retry: 2000\n\nevent: beat\ndata: 1\n\n");
  assertEquals(ended.length, 1);
});

Deno.test("Viewer ends with its browser, and can be ended and sent to all the same", async () => {
  const { viewer, ended } = scene();
  await viewer.body.cancel();
  assertEquals(ended, [viewer]);
  viewer.send(EVENT);
  viewer.end();
  assertEquals(ended.length, 1);
});

Deno.test("Viewer drops a browser that is too slow, and reports that once", async () => {
  const { viewer, ended } = scene();
  for (let i = 0; i < 300; i++) viewer.send(EVENT);
  assertEquals(ended, [viewer]);
  viewer.end();
  await assertRejects(() => new Response(viewer.body).text(), Error, "reads too slowly");
  assertEquals(ended.length, 1);
});

Deno.test("Viewer sends no id that could end its line", async () => {
  const { viewer } = scene();
  viewer.send({ ...EVENT, id: "a-1.b" });
  viewer.send({ ...EVENT, id: "a\ndata: forged" });
  viewer.end();
  assertEquals(
    await new Response(viewer.body).text(),
    "retry: 2000\n\nid: a-1.b\nevent: beat\ndata: 1\n\nevent: beat\ndata: 1\n\n",
  );
});
