/** The picture of all processors' results files. */
import { join } from 'node:path'
import { nameOf } from '../../cli/measure/shapes.ts'
import { writeText } from '../../lib/checkpoints/write.ts'
import type { Shape } from '../../lib/tensor/shape.ts'
import { processorTitle } from '../processor.ts'
import { readResults, type Section } from '../results.ts'
import { type Subject, speedChart } from './chart.ts'
import type { ContestantName } from './contestants.ts'
import { type Measurement, Measurements } from './measurements.ts'

/** Returns where it was written. */
export function writePicture(): string {
  const subjects = readResults().flatMap(({ peers }) => (peers === undefined ? [] : [subjectOf(peers)]))
  const file = join(import.meta.dirname, 'results.svg')
  writeText(file, speedChart(subjects))
  return file
}

function subjectOf({ processor, settings, measurements }: Section): Subject {
  const times = new Measurements()
  const lines = measurements as readonly Measurement[]
  for (const line of lines) times.add(line, [line.median])
  const versions = settings.versions as Partial<Record<ContestantName, string>>
  const { newOnednn = versions.onednn, newPytorch = versions.pytorch } = versions
  const peers = [newOnednn, newPytorch].filter((version) => version !== undefined)
  const threads = Math.max(...lines.map((line) => line.threads))
  const shapes = new Map(lines.map(({ shape }): [string, Shape] => [nameOf(shape), shape]))
  return {
    title: `${processorTitle(processor)} · ${threads} threads · ${peers.join(', ')}`,
    measurements: times,
    shapes: [...shapes.values()],
    threads,
  }
}
