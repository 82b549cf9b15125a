import type { Network } from './cost.ts'

/** A number that nobody measured on the machines in question, and where it is from. */
interface Assumption {
  readonly value: number
  readonly source: string
}

/** What is taken for a network that is not told. */
export const assumed: Record<keyof Network, Assumption> = {
  alpha: {
    value: 310e-6,
    source: 'Gloo over TCP, between 2 ranks on one machine of 2 cores: 270 to 350 µs',
  },
  beta: { value: 8e-10, source: 'a network of 10 Gbit/s at its full speed' },
}
