/**
 * A process may hold several copies of this library: as an ES module and as CommonJS, of two versions, in a bundle
 * beside one that is not. `instanceof` and `#private` know the classes of their own copy alone, and a variable of a
 * file is of one copy too. What copies have in common stands under keys of the registry of symbols, each declared
 * where it is used; whatever changes behind a key needs another key.
 */

/** Whether a value is of a class that has this key, in whatever copy. */
export function has<Key extends symbol>(key: Key, value: unknown): value is Readonly<Record<Key, unknown>> {
  return typeof value === 'object' && value !== null && key in value
}

/** One value for all copies that run in this thread and realm. */
export function shared<Value extends object>(name: string, make: () => Value): Value {
  const key = Symbol.for(`batchnorm.${name}`)
  const value = (globalThis as unknown as Record<symbol, Value | undefined>)[key] ?? make()
  // Not an assignment, which throws where a program has frozen its globals; each copy is by itself then.
  Reflect.set(globalThis, key, value)
  return value
}
