import { invalidShape, invalidValue } from '../../checks/errors.ts'
import { mostChannels } from '../../checks/scalars.ts'
import type { SparseTensorProto } from './messages.ts'
import { type Constant, storedConstant } from './stored-tensor.ts'

/**
 * A sparse tensor of one axis, made dense. Its indices are `[count]` or `[count, 1]`, which lie alike.
 *
 * @throws RangeError for other axes, and for indices outside of the tensor or not one a value
 */
export function denseConstant(name: string, { values, indices, dims }: SparseTensorProto): Constant {
  const shape = dims.map(Number)
  if (values === undefined || indices === undefined || shape.length !== 1) {
    throw invalidShape(name, '[C], with values and indices, as it is sparse,', shape)
  }
  const [size] = shape
  if (!(size >= 0 && size <= mostChannels)) throw invalidShape(name, `[C], C up to ${mostChannels},`, shape)
  const stored = storedConstant(name, values)
  const places = storedConstant(`the indices of ${name}`, indices).values
  const isPlace = (place: number) => Number.isInteger(place) && place >= 0 && place < size
  if (places.length !== stored.values.length || !places.every(isPlace)) {
    const expected = `${stored.values.length} integers from 0 to ${size - 1}`
    throw invalidValue(`the indices of ${name}`, expected, [...places], 'is the file damaged?')
  }
  const dense = new Float64Array(size)
  for (const [index, place] of places.entries()) dense[place] = stored.values[index]
  return { dims: shape, dataType: stored.dataType, values: dense }
}
