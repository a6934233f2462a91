import { FREEZE, KILL, KILL_AHEAD, PARTITION, STANDBY_LOST, SWITCHOVER } from "./faults.ts";
import { testTopology } from "./scene.ts";

testTopology("synchronous replication behind PgBouncer", { isSynchronous: true, isPooled: true }, {
  all: [SWITCHOVER, KILL, PARTITION, FREEZE, STANDBY_LOST],
  short: [KILL],
});

testTopology(
  "asynchronous replication behind PgBouncer",
  { isSynchronous: false, isPooled: true },
  {
    all: [SWITCHOVER, KILL_AHEAD, PARTITION],
    short: [],
  },
);
