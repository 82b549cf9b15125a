import type { BatchNorm } from './model.ts'

export interface Settings {
  readonly batchNorm: BatchNorm
  readonly epochs: number
  readonly batchSize: number
  readonly learningRate: number
  readonly seed: number
}
