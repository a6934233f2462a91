/** The messages of `dashboard`. */

import { InMemoryCircuitBreakerStore } from "../../mod.ts";
import { dashboard, type DashboardOptions } from "../../src/dashboard/dashboard.ts";
import type { Listed } from "./listed.ts";

const memory = new InMemoryCircuitBreakerStore();

function dashboardWith(options: Record<string, unknown>) {
  return dashboard(memory, options as DashboardOptions);
}

export const DASHBOARD: readonly Listed[] = [
  [
    () => dashboard({} as never),
    "Cannot serve dashboard: pass a PostgresCircuitBreakerStore or an InMemoryCircuitBreakerStore, " +
    "received an object",
  ],
  [
    () => dashboard(null as never),
    "Cannot serve dashboard: pass a PostgresCircuitBreakerStore or an InMemoryCircuitBreakerStore, " +
    "received null",
  ],
  [
    () => dashboardWith({ readonly: false }),
    'Cannot serve dashboard: "readOnly" must be spelt exactly so, received a similar name of 8 characters',
  ],
  [
    () => dashboardWith({ readOnly: "no" }),
    'Cannot serve dashboard: "readOnly" must be true or false, received a string of 2 characters',
  ],
  [
    () => dashboardWith({ authorize: true }),
    'Cannot serve dashboard: "authorize" must be a function, received true',
  ],
  [
    () => dashboardWith({ readOnly: false }),
    'Cannot serve dashboard: "authorize" must be a function where "readOnly" is false, received undefined',
  ],
  [
    () => dashboardWith({ basePath: "ops/" }),
    'Cannot serve dashboard: "basePath" must be empty or a path such as "/ops/circuits", without a ' +
    "slash at its end, received a string of 4 characters",
  ],
  [
    () => dashboardWith({ title: " " }),
    'Cannot serve dashboard: "title" must have from 1 to 100 characters, received a string of 1 character',
  ],
];
