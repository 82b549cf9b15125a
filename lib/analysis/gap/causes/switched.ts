import type { Cause } from '../cause.ts'
import { figure, text } from '../cause.ts'
import type { Norm } from '../norm.ts'
import { squareOf } from '../parts.ts'

/** What each switch does to the two modes, and what undoes it. */
function switchesOf(norm: Norm): { does: string; remedy: string }[] {
  if (norm.running === null) {
    return [
      {
        does: 'trackRunningStats: false: there are no running statistics, eval normalizes with the batch as training does',
        remedy: 'trackRunningStats: true for outputs that do not depend on the rest of the batch',
      },
    ]
  }
  if (norm.frozen) {
    return [
      {
        does: 'freeze(): the running statistics normalize in training too, and do not move',
        remedy: 'unfreeze()',
      },
    ]
  }
  const { useBatchStats, updateStats } = norm
  return [
    ...(useBatchStats === true
      ? [
          {
            does: 'useBatchStats: true: eval normalizes with the batch as training does',
            remedy: 'useBatchStats = null',
          },
        ]
      : []),
    ...(useBatchStats === false
      ? [
          {
            does: 'useBatchStats: false: the running statistics normalize in training too',
            remedy: 'useBatchStats = null',
          },
        ]
      : []),
    ...(updateStats === false
      ? [
          {
            does: 'updateStats: false: training leaves the running statistics as they are',
            remedy: 'updateStats = null',
          },
        ]
      : []),
    ...(updateStats === true
      ? [{ does: 'updateStats: true: eval moves the running statistics', remedy: 'updateStats = null' }]
      : []),
  ]
}

export const switched: Cause = {
  name: 'switched',
  explain: (_, { norm }) => (switchesOf(norm).length > 0 ? 0 : null),
  describe(channels, { norm }) {
    const switches = switchesOf(norm)
    const hidden = Math.sqrt(channels.reduce((sum, { parts }) => sum + squareOf(parts) / channels.length, 0))
    const isHidden = norm.running !== null && norm.useBatchStats !== null
    const without = isHidden ? `; without it the gap would be ${text(hidden)} standard deviations` : ''
    return {
      figures: isHidden ? [figure('gap without the switch', hidden, 'standard deviations')] : [],
      sentence: `${switches.map(({ does }) => does).join('; ')}${without}.`,
      remedy: switches.map(({ remedy }) => remedy).join(', '),
    }
  },
}
