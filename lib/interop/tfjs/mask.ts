import { broadcastTo, ones, squeeze, Tensor, zeros } from '@tensorflow/tfjs-core'
import type { layers, SymbolicTensor } from '@tensorflow/tfjs-layers'
import type { Extent } from '../../backend/backend.ts'
import { describe, invalidShape, invalidType } from '../../checks/errors.ts'

/**
 * The mask of a layer's input, if it has one: that of the call, or the one that `tf.layers.masking` and
 * `tf.layers.embedding` leave on their output.
 *
 * A model calls all its layers with the same object of keywords, in which the last mask stays: of another
 * branch, or of layers before one that ends it. So within a model the mask counts if it comes along the graph.
 */
export function maskOfInput(
  layer: layers.Layer,
  inputs: Tensor | Tensor[],
  given: Tensor | null | undefined,
): Tensor | null {
  if (!Array.isArray(inputs) || layer.inboundNodes.length === 0) {
    const [input] = [inputs].flat()
    return given ?? input.kerasMask ?? null
  }
  if (!given) return null
  const [first, ...others] = layer.inboundNodes.map(({ inputTensors }) => comesWithMask(inputTensors[0]))
  if (others.some((other) => other !== first)) {
    throw new TypeError(
      `Expected the inputs of layer ${layer.name} to be all masked or all unmasked but received both (a layer for each)`,
    )
  }
  return first ? given : null
}

const answers = new WeakMap<SymbolicTensor, boolean>()

/** Asks the layers that a tensor of a model comes from, with tensors of zeros in place of their inputs. */
function comesWithMask(tensor: SymbolicTensor): boolean {
  const { sourceLayer, nodeIndex } = tensor
  const { inputTensors, inboundLayers } = sourceLayer.inboundNodes[nodeIndex]
  if (inboundLayers.length === 0 || !sourceLayer.supportsMasking) return false
  const known = answers.get(tensor)
  if (known !== undefined) return known

  const inputs = inputTensors.map(({ shape, dtype }) => zeros(sizesOf(shape), dtype))
  const masks = inputs.map(({ shape }, index) => {
    return comesWithMask(inputTensors[index]) ? ones(shape.slice(0, -1), 'bool') : null
  })
  const [mask] = [sourceLayer.computeMask(inputs, masks as Tensor[])].flat()
  const answer = mask instanceof Tensor
  answers.set(tensor, answer)
  return answer
}

function sizesOf(shape: SymbolicTensor['shape']): number[] {
  return shape.map((size) => size ?? 1)
}

/** Rows of `channels` neighbouring values, of `firstChannel` and those that follow it; `starts` says where. */
export interface Rows {
  readonly firstChannel: number
  readonly channels: number
  readonly starts: readonly number[]
}

/**
 * Where the values lie that a mask leaves: as rows of all channels if those are the last axis, otherwise of
 * each channel apart, since each may have another number of them.
 *
 * @param mask - has the axes of the input but the last; an axis of 1 stands for all positions
 * @throws RangeError for another shape
 */
export function unmaskedRows(mask: Tensor, { shape }: Tensor, { channels, inner }: Extent): Rows[] {
  const positions = unmaskedPositions(mask, shape)
  const width = shape[shape.length - 1]
  if (inner === 1 && width === channels) return [{ firstChannel: 0, channels, starts: positions }]

  const starts: number[][] = Array.from({ length: channels }, () => [])
  for (const position of positions) {
    const ofChannel = starts[Math.floor(position / inner) % channels]
    for (let index = position; index < position + width; index++) ofChannel.push(index)
  }
  return starts.map((own, firstChannel) => ({ firstChannel, channels: 1, starts: own }))
}

/** Where the last axis of the input begins, wherever the mask is not 0. */
function unmaskedPositions(mask: Tensor, shape: readonly number[]): number[] {
  if (!(mask instanceof Tensor)) throw invalidType('mask', 'a tensor', mask)
  // The layers of TensorFlow.js that add, multiply or average leave an axis in front.
  const own = mask.rank === shape.length && mask.shape[0] === 1 ? squeeze(mask, [0]) : mask
  const expected = shape.slice(0, -1)
  const fits =
    own.rank === expected.length && own.shape.every((size, axis) => [1, expected[axis]].includes(size))
  if (!fits) {
    throw invalidShape('mask', `${describe(expected)}, for an input of shape ${describe(shape)},`, mask.shape)
  }
  const flags = broadcastTo(own, expected).dataSync()
  const width = shape[shape.length - 1]
  return [...flags.keys()].filter((position) => flags[position]).map((position) => position * width)
}
