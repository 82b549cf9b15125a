import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import type { Shape } from '../../lib/tensor/shape.ts'
import type { Case, Operation, ValueType } from './cases.ts'
import type { Options } from './options.ts'

/** A line of the program; `main.cpp` tells what it holds. */
export interface Measurement {
  readonly shape: Shape
  readonly type: ValueType
  readonly operation: Operation
  readonly threads: number
  readonly microseconds: number
  readonly floor?: number
  readonly inFloors?: number
  readonly stores?: string
  readonly gain?: number
}

export interface Run {
  readonly instructionSet: string
  readonly measurements: readonly Measurement[]
}

/** Runs a build of bench_native on one case. */
export async function run(
  program: string,
  { shape, type, operations, threads }: Case,
  { seconds, instructionSet }: Pick<Options, 'seconds' | 'instructionSet'>,
): Promise<Run> {
  const words = Object.entries({
    '--shape': shape,
    '--types': type,
    '--operations': operations,
    '--threads': threads,
    '--seconds': seconds,
    ...(instructionSet !== undefined && { '--instruction-set': instructionSet }),
  }).flatMap(([name, value]) => [name, String(value)])
  const child = spawn(program, words, { stdio: ['ignore', 'pipe', 'inherit'] })
  const [output, [status]] = await Promise.all([text(child.stdout), once(child, 'exit')])
  if (status !== 0) throw new Error(`${program} ${words.join(' ')} ended with ${status}`)
  const [header, ...lines] = output.trim().split('\n')
  return {
    instructionSet: JSON.parse(header).instructionSet,
    measurements: lines.map((line) => JSON.parse(line)),
  }
}
