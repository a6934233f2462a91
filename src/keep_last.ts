/** Puts an entry last in a map. Drops the first entry where the map then exceeds its capacity. */
export function keepLast<Key, Value>(
  map: Map<Key, Value>,
  key: Key,
  value: Value,
  capacity: number,
): void {
  map.delete(key);
  map.set(key, value);
  if (map.size <= capacity) return;
  for (const first of map.keys()) {
    map.delete(first);
    return;
  }
}
