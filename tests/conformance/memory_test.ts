import { InMemoryCircuitBreakerStore } from "../../mod.ts";
import { conformance } from "./suite.ts";

conformance({ test: (name, fn) => Deno.test(`in-memory store: ${name}`, fn) }, {
  name: "in-memory store",
  isShared: false,
  open(options) {
    const store = new InMemoryCircuitBreakerStore(options);
    return Promise.resolve({ store, [Symbol.asyncDispose]: () => store.close() });
  },
});
