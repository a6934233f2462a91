import { KILL_AHEAD, PARTITION, SWITCHOVER } from "./faults.ts";
import { testTopology } from "./scene.ts";

testTopology("asynchronous replication", { isSynchronous: false, isPooled: false }, {
  all: [SWITCHOVER, KILL_AHEAD, PARTITION],
  short: [KILL_AHEAD],
});
