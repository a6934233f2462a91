import { FREEZE, ISOLATED, KILL, PARTITION, STANDBY_LOST, SWITCHOVER } from "./faults.ts";
import { testTopology } from "./scene.ts";

testTopology("synchronous replication", { isSynchronous: true, isPooled: false }, {
  all: [SWITCHOVER, KILL, PARTITION, ISOLATED, FREEZE, STANDBY_LOST],
  short: [SWITCHOVER, PARTITION],
});
