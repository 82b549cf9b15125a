import { types } from 'node:util'
import { invalidType, invalidValue } from '../checks/errors.ts'
import { Tensor, type TensorData } from '../tensor/tensor.ts'
import { type AnyBatchNorm, assertBatchNorm } from './batch-norm.ts'
import { copyOf } from './copy.ts'

/**
 * A batch norm with some of the channels of another, of its class, options, mode and switches: what is left of it when
 * the layer before is pruned, or runs at a width of its own.
 *
 * ```ts
 * const narrow = slice(bn, 16)                 // the first 16, as slimmable networks take them
 * const pruned = slice(bn, [0, 3, 4, 7])       // these, in this order
 * ```
 *
 * Scale, shift, running statistics and the counter are copies: either goes its own way from there, and the batch norm
 * stays as it is. Gradients start at 0, so make the optimizer after it. The running statistics of a channel stay right
 * only where its inputs do: where the layer before changes, `recalibrate` (Yu et al. 2019, "Slimmable Neural Networks",
 * https://arxiv.org/abs/1812.08928).
 *
 * Of a `SyncBatchNorm` every rank makes the same slices, in the same order of layers.
 *
 * @param channels - how many, or which ones, each once; an array, typed or not
 * @throws TypeError for what is not a batch norm, for a lazy one without channels, and for what is no channels; RangeError
 * for channels that are not there, or twice
 */
export function slice<Module extends AnyBatchNorm>(
  module: Module,
  channels: number | ArrayLike<number>,
): Module {
  assertBatchNorm('module', module)
  const state = module.stateDict()
  const chosen = chosenOf(channels, module.numFeatures)
  const parts = Object.entries(state).map(([key, { data, shape, dtype }]) => {
    // The counter is of all channels.
    if (shape.length === 0) return [key, new Tensor(data, shape, dtype)]
    const part = data.slice(0, chosen.length) as TensorData
    chosen.forEach((channel, place) => {
      part[place] = data[channel]
    })
    return [key, new Tensor(part, [chosen.length], dtype)]
  })
  return copyOf(module, { numFeatures: chosen.length }, Object.fromEntries(parts))
}

function chosenOf(channels: number | ArrayLike<number>, count: number): number[] {
  const wanted = `a number of channels from 1 to ${count}, or an array of such channels,`
  if (typeof channels === 'number') {
    if (!(Number.isInteger(channels) && channels >= 1 && channels <= count)) {
      throw invalidValue('channels', wanted, channels)
    }
    return Array.from({ length: channels }, (_, channel) => channel)
  }
  if (!(Array.isArray(channels) || types.isTypedArray(channels)))
    throw invalidType('channels', wanted, channels)
  // Before it is walked: an array can be long and empty.
  if (channels.length < 1 || channels.length > count) {
    throw invalidValue('channels', `an array of 1 to ${count} channels`, channels)
  }
  const places = new Map<number, number>()
  Array.from(channels as ArrayLike<number>).forEach((channel, place) => {
    const name = `channels[${place}]`
    if (typeof channel !== 'number') throw invalidType(name, 'a channel', channel)
    if (!(Number.isInteger(channel) && channel >= 0 && channel < count)) {
      throw invalidValue(name, `a channel from 0 to ${count - 1}`, channel)
    }
    const before = places.get(channel)
    if (before !== undefined) throw invalidValue(name, `another channel than channels[${before}]`, channel)
    places.set(channel, place)
  })
  return [...places.keys()]
}
