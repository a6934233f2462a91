import { last, type Stage, TIMEOUT_MS } from "./stage.ts";
import { testScenarios } from "./scenario.ts";

function resume(stage: Stage): Promise<void[]> {
  return stage.each(({ proxy }) => proxy.resume());
}

testScenarios({
  "sockets hang for two seconds and go on": {
    async fault(stage) {
      await stage.each(({ proxy }) => proxy.hang());
      await stage.untilOut();
      await last(2000);
      await resume(stage);
    },
    expects: ["StoreTimeoutError", "StoreUnavailableError"],
    outages: [1, 1],
  },
  "sockets hang, then are cut": {
    async fault(stage) {
      await stage.each(({ proxy }) => proxy.hang());
      await stage.untilOut();
      await last(1000);
      await stage.each(({ proxy }) => proxy.cut());
      await resume(stage);
    },
    expects: ["StoreTimeoutError", "StoreUnavailableError"],
    outages: [1, 2],
  },
  "all bytes are lost, until the machine is back and resets what it does not know": {
    async fault(stage) {
      await stage.each(({ proxy }) => proxy.drop());
      await stage.untilOut();
      await last(1000);
      await stage.each(({ proxy }) => proxy.cut());
      await resume(stage);
    },
    expects: ["StoreTimeoutError", "StoreUnavailableError"],
    outages: [1, 2],
  },
  "all bytes are lost, then only new connections work": {
    async fault(stage) {
      await stage.each(({ proxy }) => proxy.drop());
      await stage.untilOut();
      await last(3000);
      await resume(stage);
    },
    expects: ["StoreTimeoutError", "StoreUnavailableError"],
    outages: [1, 2],
    // postgres.js has no means to give up a connection that is silent.
    stage: { drivers: ["node-postgres"] },
  },
  "connections are cut and refused": {
    async fault(stage) {
      await stage.each(({ proxy }) => proxy.refuse());
      await stage.each(({ proxy }) => proxy.cut());
      await stage.untilOut();
      await last(4000);
      await resume(stage);
    },
    expects: ["StoreUnavailableError"],
    outages: [1, 1],
  },
  "connections are cut, and new ones closed at once": {
    async fault(stage) {
      await stage.each(({ proxy }) => proxy.turnAway());
      await stage.each(({ proxy }) => proxy.cut());
      await stage.untilOut();
      await last(1500);
      await resume(stage);
    },
    expects: ["StoreUnavailableError"],
    allows: ["StoreTimeoutError"],
    outages: [1, 1],
  },
  "all connections are cut every 100 ms": {
    async fault(stage) {
      for (let round = 0; round < 20; round++) {
        await last(100);
        await stage.each(({ proxy }) => proxy.cut());
      }
    },
    expects: ["StoreUnavailableError"],
    allows: ["StoreTimeoutError"],
    outages: [1, Infinity],
  },
  "a slow network is not an outage": {
    async fault(stage) {
      await stage.each(({ proxy }) => proxy.delay(30));
      await last(1000);
      await stage.each(({ proxy }) => proxy.delay(0));
    },
    outages: [0, 0],
    // A call that waits for a connection takes several round trips, each several times 60 ms.
    stage: { load: { connections: 12, timeoutMs: 3000 } },
  },
  "a network slower than the deadline is one": {
    async fault(stage) {
      await stage.each(({ proxy }) => proxy.delay(1.5 * TIMEOUT_MS));
      await stage.untilOut();
      await last(1000);
      await stage.each(({ proxy }) => proxy.delay(0));
    },
    expects: ["StoreTimeoutError", "StoreUnavailableError"],
    outages: [1, 2],
  },
});
