/** Another realm: a vm context, as test runners give one to each file. Nothing of it is an instance of our classes. */
import { createContext, runInContext } from 'node:vm'
import { Tensor } from '../../lib/index.ts'

const context = createContext()
const make = runInContext('(name, ...words) => new globalThis[name](...words)', context) as Make

type Make = (name: string, ...words: unknown[]) => object

/** A deep copy that is made there. Functions and instances of classes stay what they are; of a tensor it has the fields. */
export function ofOtherRealm(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (ArrayBuffer.isView(value)) return viewOfOtherRealm(value)
  if (Array.isArray(value)) return Object.assign(make('Array', value.length), value.map(ofOtherRealm))
  if (value instanceof Map) return make('Map', [...value].map(ofOtherRealm))
  if (value.constructor === Tensor) return ofOtherRealm({ ...(value as Tensor) })
  if (value.constructor !== Object) return value
  const entries = Object.entries(value).map(([key, item]) => [key, ofOtherRealm(item)])
  return Object.assign(make('Object'), Object.fromEntries(entries))
}

function viewOfOtherRealm(view: ArrayBufferView): object {
  const bytes = make('ArrayBuffer', view.byteLength) as ArrayBuffer
  new Uint8Array(bytes).set(new Uint8Array(view.buffer, view.byteOffset, view.byteLength))
  return make(view.constructor.name, bytes)
}
