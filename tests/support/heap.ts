import v8 from "node:v8";
import vm from "node:vm";

v8.setFlagsFromString("--expose-gc");
const collect = vm.runInNewContext("gc") as () => void;

/** The bytes on the heap that are in use, after a collection. */
export function heapInUse(): number {
  collect();
  return Deno.memoryUsage().heapUsed;
}
