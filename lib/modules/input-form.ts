import type { Extent } from '../backend/backend.ts'
import { invalidShape } from '../checks/errors.ts'
import { channelAxis, extentOf, type Layout, type Shape } from '../tensor/shape.ts'

/**
 * The shapes that a module takes. `positions` names the axes that may stand beside the samples and
 * the channels: `[[], ['L']]` for BatchNorm1d, which takes `[N, C]` and `[N, C, L]`.
 */
export class InputForm {
  readonly #positions: readonly (readonly string[])[]
  readonly #channels: number
  readonly #layout: Layout

  constructor(positions: readonly (readonly string[])[], channels: number, layout: Layout) {
    this.#positions = positions
    this.#channels = channels
    this.#layout = layout
  }

  /** A shape as `(outer, channels, inner)`; RangeError if it is not one of the shapes that are taken. */
  extentOf(shape: Shape): Extent {
    if (!this.#fits(shape, this.#layout))
      throw invalidShape('input', this.toString(), shape, this.#fix(shape))
    return extentOf(shape, this.#layout)
  }

  /** `[N, 100] or [N, 100, L]` */
  toString(): string {
    return formOf(this.#positions, this.#channels, this.#layout)
  }

  #fits(shape: Shape, layout: Layout): boolean {
    if (shape[channelAxis(shape, layout)] !== this.#channels) return false
    for (const names of this.#positions) if (shape.length === names.length + 2) return true
    return false
  }

  #fix(shape: Shape): string {
    const other = this.#layout === 'channels-last' ? 'channels-first' : 'channels-last'
    return this.#fits(shape, other) ? `did you mean layout: '${other}'?` : ''
  }
}

/** The shapes with these axes beside samples and channels, in words. */
export function formOf(
  positions: readonly (readonly string[])[],
  channels: number | string,
  layout: Layout,
): string {
  const axesOf = (names: readonly string[]) =>
    layout === 'channels-last' ? [...names, channels] : [channels, ...names]
  return positions.map((names) => `[N, ${axesOf(names).join(', ')}]`).join(' or ')
}
