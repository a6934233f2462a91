/** What happens to gateway processes, connections and the server during a run. */

import { keysOf } from "./gateway_calls.ts";
import { FOREIGN_WRITER } from "./recorded.ts";
import type { Place, Scene } from "./scene.ts";
import type { Session } from "./session.ts";

type Random = () => number;

/** Begins something, lets it last, and ends it. */
type Fault = (scene: Scene, random: Random) => Promise<unknown>;

/** Lets a fault last: the time is the fault itself, nothing is synchronised by it. */
export function last(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function pick<Value>(values: readonly Value[], random: Random): Value {
  return values[Math.floor(random() * values.length)]!;
}

/** Does something to one process, unless another fault does something to each. */
async function withPlace(
  { places }: Scene,
  random: Random,
  act: (place: Place) => Promise<void>,
): Promise<void> {
  const free = places.filter(({ isBusy }) => !isBusy);
  if (free.length === 0) return;
  const place = pick(free, random);
  place.isBusy = true;
  await act(place);
  place.isBusy = false;
}

function some(places: readonly Place[], random: Random): Place[] {
  const chosen = places.filter(() => random() < 0.5);
  return chosen.length === 0 ? [pick(places, random)] : chosen;
}

/** For how long a network is as slow as it is. */
const UNEVEN_MS = 15;

/** Faults by name, each with how often it is chosen. */
export const FAULTS: Record<string, readonly [weight: number, fault: Fault]> = {
  "instance killed": [2, (scene, random) =>
    withPlace(scene, random, async (place) => {
      scene.recorder.instances.get(place.instance)!.hasLostDeferred = true;
      place.process.signal("SIGKILL");
      await place.process.ended;
      await scene.start(place);
    })],
  "instance stopped": [3, (scene, random) =>
    withPlace(scene, random, async ({ process }) => {
      process.signal("SIGSTOP");
      await last(200 + 2500 * random());
      process.signal("SIGCONT");
    })],
  "store reopened": [2, (scene, random) =>
    withPlace(scene, random, async (place) => {
      scene.recorder.expectEnd(place.instance);
      await scene.reopen(place);
    })],
  "clock stepped": [
    1,
    (scene, random) =>
      withPlace(scene, random, async ({ process, instance }) => {
        scene.recorder.instances.get(instance)!.isStepped = true;
        const ms = Math.round((random() - 0.5) * 20_000);
        await process.send({ type: "step", ms });
        await last(1000 * random());
        await process.send({ type: "step", ms: -ms });
      }),
  ],
  "backend killed": [1, async (scene, random) => {
    const pid = await backendOf(scene, random);
    if (pid !== undefined) await scene.crash(() => killBackend(pid));
  }],
  "server killed": [1, (scene) => scene.restartServer()],
  "backends terminated": [3, async (scene, random) => {
    for (let times = 1 + 4 * random(); times > 0; times--) {
      await scene.session.query(
        `select pg_terminate_backend(pid) from pg_stat_activity
        where datname = $1 and application_name like 'i%' and random() < 0.5`,
        [scene.database],
      ).catch(() => {}); // the server is down by another fault
      await last(100 * random());
    }
  }],
  "connections cut": [3, async ({ places }, random) => {
    for (let times = 1 + 4 * random(); times > 0; times--) {
      some(places, random).forEach(({ proxy }) => proxy.cut());
      await last(100 * random());
    }
  }],
  "network hung": [2, async ({ places }, random) => {
    const chosen = some(places, random);
    chosen.forEach(({ proxy }) => proxy.hang());
    await last(1500 * random());
    if (random() < 0.5) chosen.forEach(({ proxy }) => proxy.cut());
    await Promise.all(chosen.map(({ proxy }) => proxy.resume()));
  }],
  "network dead": [1, async ({ places }, random) => {
    const chosen = some(places, random);
    chosen.forEach(({ proxy }) => proxy.drop());
    await last(1000 * random());
    chosen.forEach(({ proxy }) => proxy.cut());
    await Promise.all(chosen.map(({ proxy }) => proxy.resume()));
  }],
  "network slow": [2, async ({ places }, random) => {
    const chosen = some(places, random);
    chosen.forEach(({ proxy }) => proxy.delay(5 + 150 * random()));
    await last(500 + 1500 * random());
    chosen.forEach(({ proxy }) => proxy.delay(0));
  }],
  // An answer that was sent first comes last.
  "network uneven": [3, async ({ places }, random) => {
    const chosen = some(places, random);
    for (let rest = 500 + 2000 * random(); rest > 0; rest -= UNEVEN_MS) {
      chosen.forEach(({ proxy }) => proxy.delay(random() < 0.5 ? 0 : 200 * random()));
      await last(UNEVEN_MS);
    }
    chosen.forEach(({ proxy }) => proxy.delay(0));
  }],
  "rows locked": [3, async (scene, random) => {
    const keys = [pick(LOCKED, random), pick(LOCKED, random)];
    const isKept = random() < 0.5;
    await using session = scene.connect("locker");
    await session.transaction(async (query) => {
      // In the order of the keys, as a program does that wants no deadlock.
      await query(
        `select from stoma_circuit_breakers where key = any($1) order by key for update`,
        [
          keys,
        ],
      );
      await query(`update stoma_circuit_breakers set updated_at = updated_at where key = any($1)`, [
        keys,
      ]);
      await last(300 + 2700 * random());
      if (!isKept) await query("select 1 / 0");
    }).catch(() => {}); // rolled back on purpose, or with its server
  }],
  "transaction left open": [2, async (scene, random) => {
    await using session = scene.connect("idler");
    await session.transaction(async (query) => {
      await query("select pg_current_xact_id()");
      await last(1000 + 4000 * random());
    }).catch(() => {}); // ended with its server
  }],
  "plain SQL": [3, async (scene, random) => {
    await using session = scene.connect(FOREIGN_WRITER);
    for (let times = 1 + 3 * random(); times > 0; times--) {
      const key = pick(keysOf("foreign"), random);
      const state = pick(["closed", "open", "half-open"], random);
      // A server that is killed at this moment is another fault's.
      await (random() < 0.3
        ? session.query("delete from stoma_circuit_breakers where key = $1", [key])
        : session.query(
          `insert into stoma_circuit_breakers as c (key, state, last_state_change)
          values ($1, $2, (extract(epoch from clock_timestamp()) * 1000)::bigint)
          on conflict (key) do update set state = excluded.state,
            last_state_change = excluded.last_state_change`,
          [key, state],
        )).catch(() => {});
      await last(300 * random());
    }
  }],
  "notifications full": [1, async (scene, random) => {
    await using listener = scene.connect("listener");
    await using filler = scene.connect("filler");
    await listener.query("listen histories").catch(() => {});
    await listener.transaction(async (query) => {
      // While its transaction lasts, the server can forget no notification.
      await query("select 1");
      let sent = 0;
      while (sent < FILLING && await notify(filler)) sent++;
      await last(1500 * random());
    }).catch(() => {}); // ended with its server
  }],
};

/** More notifications than the queue of the test's server holds. */
const FILLING = 200;

/** Returns `false` where the queue is full, or the server is down. */
function notify(session: Session): Promise<boolean> {
  return session.query("select pg_notify('histories', repeat('x', 7900))")
    .then(() => true, () => false);
}

const LOCKED: readonly string[] = [...keysOf("moved"), ...keysOf("counted"), ...keysOf("probed")];

async function backendOf(scene: Scene, random: Random): Promise<number | undefined> {
  const rows = await scene.session.query<{ pid: number }>(
    "select pid from pg_stat_activity where datname = $1 and application_name like 'i%'",
    [scene.database],
  ).catch(() => []); // the server is down by another fault
  return rows.length === 0 ? undefined : pick(rows, random).pid;
}

function killBackend(pid: number): void {
  try {
    Deno.kill(pid, "SIGKILL");
  } catch {
    // It ended at this moment.
  }
}

/** A fault of those that are left, by weight. */
export function chooseFault(random: Random): [name: string, fault: Fault] {
  const entries = Object.entries(FAULTS);
  let at = random() * entries.reduce((sum, [, [weight]]) => sum + weight, 0);
  const [name, [, fault]] = entries.find(([, [weight]]) => (at -= weight) < 0) ?? entries[0]!;
  return [name, fault];
}
