/** What may stand in the place of an argument by mistake, and how it is put there. */
import { BatchNorm1d, LazyBatchNorm1d, tensor } from '../../lib/index.ts'

/** An array whose memory has gone to another thread. */
export function detached(): Float32Array {
  const array = new Float32Array(6)
  structuredClone(array, { transfer: [array.buffer as ArrayBuffer] })
  return array
}

const data = () => new Float32Array(6)

/** Each is made anew, because a call may change it. */
export const badValues: Readonly<Record<string, () => unknown>> = {
  undefined: () => undefined,
  null: () => null,
  zero: () => 0,
  negative: () => -1,
  NaN: () => Number.NaN,
  Infinity: () => Number.POSITIVE_INFINITY,
  fraction: () => 1.5,
  huge: () => 1e300,
  text: () => 'abc',
  'the name of a property of every object': () => 'constructor',
  true: () => true,
  symbol: () => Symbol('s'),
  bigint: () => 10n,
  'no properties': () => ({}),
  'no prototype': () => Object.create(null),
  'empty list': () => [],
  'mixed list': () => [1, 'a'],
  'list of null': () => [null],
  'list of undefined': () => [undefined],
  'list of a pair': () => [['a', null]],
  function: () => () => 3,
  date: () => new Date(0),
  promise: () => Promise.resolve(),
  'empty array': () => new Float32Array(0),
  'short array': () => new Float32Array(3),
  array: data,
  'int32 array': () => new Int32Array(6),
  'int64 array': () => new BigInt64Array(6),
  view: () => new DataView(new ArrayBuffer(24)),
  buffer: () => new ArrayBuffer(24),
  detached,
  'detached tensor': () => ({ data: detached(), shape: [2, 3] }),
  'no data': () => ({ shape: [2, 3] }),
  'no shape': () => ({ data: data() }),
  'data null': () => ({ data: null, shape: [2, 3] }),
  'data of numbers': () => ({ data: [1, 2, 3, 4, 5, 6], shape: [2, 3] }),
  'shape null': () => ({ data: data(), shape: null }),
  'shape text': () => ({ data: data(), shape: '23' }),
  'shape of more': () => ({ data: data(), shape: [7] }),
  'shape of NaN': () => ({ data: data(), shape: [Number.NaN, 3] }),
  'shape negative': () => ({ data: data(), shape: [-2, -3] }),
  'shape of symbols': () => ({ data: data(), shape: [Symbol('x'), 3] }),
  'shape beyond memory': () => ({ data: data(), shape: [2 ** 31, 2 ** 31] }),
  'integer beyond memory': () => 2 ** 40,
  'list beyond memory': () => Array(2 ** 32 - 1),
  'length beyond memory': () => ({ length: 2 ** 40 }),
  'tensor of a list beyond memory': () => ({ data: Array(2 ** 32 - 1), shape: [2 ** 32 - 1] }),
  'shape of a list beyond memory': () => ({ data: data(), shape: Array(2 ** 32 - 1) }),
  'shape of too many axes': () => ({ data: data(), shape: Array(2 ** 20).fill(1) }),
  'strides beyond memory': () => ({ data: data(), shape: [2, 3], strides: Array(2 ** 32 - 1) }),
  'elements that are repeated beyond memory': () => ({ data: data(), shape: [2 ** 40], strides: [0] }),
  'no samples, channels beyond memory': () => ({ data: new Float32Array(0), shape: [0, 2 ** 40] }),
  'list in itself': () => {
    const list: unknown[] = []
    list.push(list)
    return list
  },
  scalar: () => tensor(1),
  'other shape': () => tensor(data(), [3, 2]),
  'no samples': () => tensor(new Float32Array(0), [0, 3]),
  'no channels': () => tensor(new Float32Array(0), [2, 0]),
  float64: () => tensor(new Float64Array(6), [2, 3]),
  int64: () => tensor(new BigInt64Array(6), [2, 3]),
  'bits of nothing': () => ({ data: new Uint16Array(6), shape: [2, 3] }),
  module: () => new BatchNorm1d(4),
  'module without anything': () => new BatchNorm1d(3, { affine: false, trackRunningStats: false }),
  'lazy module': () => new LazyBatchNorm1d().eval(),
}

/** A place of a call's arguments: how it is called, and what puts a value there. */
type Place = [name: string, put: (args: unknown[], value: unknown) => void]

/** Every argument, and every property of those that are plain objects, two deep. */
export function placesOf(args: readonly unknown[]): Place[] {
  return args.flatMap((argument, index): Place[] => [
    [`[${index}]`, (list, value) => void list.splice(index, 1, value)],
    ...placesIn(argument, 2).map(
      ([name, put]): Place => [`[${index}]${name}`, (list, value) => put(list[index] as unknown[], value)],
    ),
  ])
}

function placesIn(object: unknown, depth: number): Place[] {
  const isPlain = typeof object === 'object' && object !== null && object.constructor === Object
  if (!isPlain || depth === 0) return []
  return Object.entries(object).flatMap(([key, property]): Place[] => [
    [`.${key}`, (owner, value) => void Reflect.set(owner, key, value)],
    ...placesIn(property, depth - 1).map(
      ([name, put]): Place => [
        `.${key}${name}`,
        (owner, value) => put(Reflect.get(owner, key) as unknown[], value),
      ],
    ),
  ])
}
