import type { ModuleDrift } from './watcher.ts'

interface Metric {
  readonly name: string
  readonly help: string
  readonly type: 'counter' | 'gauge'
  readonly value: (drift: ModuleDrift) => number | null
}

const largest = (values: Float64Array | undefined, size: (value: number) => number) =>
  values === undefined ? null : values.reduce((most, value) => Math.max(most, size(value)), 0)

const metrics: readonly Metric[] = [
  {
    name: 'batchnorm_calls_total',
    help: 'Forwards in eval since the watch began.',
    type: 'counter',
    value: ({ calls }) => calls,
  },
  {
    name: 'batchnorm_observed_calls_total',
    help: 'Of those, the forwards whose inputs were summed.',
    type: 'counter',
    value: ({ observedCalls }) => observedCalls,
  },
  {
    name: 'batchnorm_non_finite_calls_total',
    help: 'Of those, the forwards whose inputs had NaN or Infinity, which are left out.',
    type: 'counter',
    value: ({ nonFiniteCalls }) => nonFiniteCalls,
  },
  {
    name: 'batchnorm_samples',
    help: 'The samples that the drift is of.',
    type: 'gauge',
    value: ({ samples }) => samples,
  },
  {
    name: 'batchnorm_channels',
    help: 'The channels of the batch norm.',
    type: 'gauge',
    value: ({ channels }) => channels,
  },
  {
    name: 'batchnorm_drifted_channels',
    help: 'The channels that have drifted.',
    type: 'gauge',
    value: ({ drift }) => drift?.drifted.length ?? null,
  },
  {
    name: 'batchnorm_mean_shift_max',
    help: 'The largest distance of a mean from the running mean, in running standard deviations.',
    type: 'gauge',
    value: ({ drift }) => largest(drift?.meanShift, Math.abs),
  },
  {
    name: 'batchnorm_variance_ratio_max',
    help: 'The largest ratio of a variance and the running variance, or of the two the other way round.',
    type: 'gauge',
    value: ({ drift }) => largest(drift?.varianceRatio, (ratio) => Math.max(ratio, 1 / ratio)),
  },
]

/**
 * Text that Prometheus scrapes, a label `module` for each batch norm.
 * https://prometheus.io/docs/instrumenting/exposition_formats/
 */
export function prometheusText(drifts: readonly ModuleDrift[]): string {
  const lines = metrics.flatMap(({ name, help, type, value }) => {
    const samples = drifts.flatMap((drift) => {
      const number = value(drift)
      return number === null ? [] : [`${name}{module="${escaped(drift.name)}"} ${numberText(number)}`]
    })
    return samples.length === 0 ? [] : [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...samples]
  })
  return `${lines.join('\n')}\n`
}

function escaped(label: string): string {
  return label.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
}

/** As Go reads numbers. */
function numberText(number: number): string {
  if (number === Number.POSITIVE_INFINITY) return '+Inf'
  return Number.isNaN(number) ? 'NaN' : String(number)
}
