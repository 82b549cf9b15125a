/** Who is measured. Each of them is a process of its own that speaks the protocol of `worker.ts`. */
import { join } from 'node:path'
import type { Debian13, Program } from './debian-13.ts'

/**
 * Batch normalization in training, its gradient, and in eval; `step` is forward and backward in one
 * where they cannot be had apart; `copy` is a plain loop.
 */
export type Operation = 'forward' | 'backward' | 'eval' | 'step' | 'copy'

/** `new...` are those of Debian 13. */
export type ContestantName =
  | 'floor'
  | 'native'
  | 'out'
  | 'plain'
  | 'typescript'
  | 'pytorch'
  | 'pytorchBest'
  | 'newPytorch'
  | 'newPytorchKept'
  | 'newPytorchWide'
  | 'onednn'
  | 'onednnPlain'
  | 'newOnednn'
  | 'newOnednnPlain'
  | 'onnxruntime'
  | 'tfjs'

export interface Contestant extends Program {
  readonly name: ContestantName
  /** For a column: what it is, to which its version is added, and how it is used. */
  readonly product: string
  readonly variant?: string
  readonly environment?: Readonly<Record<string, string>>
  /** What is timed; batch normalization among it is checked before, but for the floor's. */
  readonly operations: readonly Operation[]
  /** Whether it has no more than one thread; then that time stands in every comparison. */
  readonly singleThreaded?: true
  /** Elements of the largest tensor that it is asked to do. */
  readonly mostElements: number
}

const all: readonly Operation[] = ['forward', 'backward', 'eval']
const workers = join(import.meta.dirname, 'workers')
const node = (file: string, ...words: string[]) => [
  process.execPath,
  '--import',
  'tsx',
  join(workers, file),
  ...words,
]

/** 4 MiB, which takes the slow ones hundredths of a second. */
const mostOfSlow = 2 ** 20
/** 64 MiB, which takes it tenths of a second. */
const mostOfOnnxRuntime = 2 ** 24

/** A malloc that gives nothing back to the system. */
const keptMemory = {
  MALLOC_MMAP_THRESHOLD_: '4294967296',
  MALLOC_TRIM_THRESHOLD_: '17179869184',
  MALLOC_TOP_PAD_: '268435456',
}
/** The widest vectors, which its builders do not trust by default; not everything is faster by them. */
const widest = { ATEN_CPU_CAPABILITY: 'avx512' }

/** `programs` is the folder of the C++ programs; without Debian 13 its peers are not among them. */
export function contestantsIn(programs: string, debian13: Debian13 | undefined): Contestant[] {
  const addon = 'npm run build:native'
  const compiled = { mostElements: Number.POSITIVE_INFINITY, installation: 'cmake and a C++ compiler' }
  const script = { operations: all, mostElements: Number.POSITIVE_INFINITY, installation: addon }
  const pytorch = {
    product: 'PyTorch',
    command: ['/usr/bin/python3', join(workers, 'pytorch.py')],
    operations: all,
    mostElements: Number.POSITIVE_INFINITY,
    installation: 'apt-get install python3-torch',
  }
  const onednn = {
    product: 'oneDNN',
    operations: all,
    mostElements: Number.POSITIVE_INFINITY,
    installation: 'apt-get install libdnnl-dev',
  }
  const [best, plain] = [{ variant: 'best layout' }, { variant: 'plain layout' }]
  return [
    {
      name: 'floor',
      product: 'floor',
      command: [join(programs, 'peer_floor')],
      operations: all,
      ...compiled,
    },
    {
      name: 'native',
      product: 'C++',
      command: [join(programs, 'peer_batchnorm')],
      operations: all,
      ...compiled,
    },
    { name: 'out', product: 'JS', variant: 'out', command: node('batchnorm.ts', 'native', 'out'), ...script },
    {
      name: 'plain',
      product: 'JS',
      variant: 'plain',
      command: node('batchnorm.ts', 'native', 'plain'),
      ...script,
    },
    {
      name: 'typescript',
      product: 'TypeScript',
      command: node('batchnorm.ts', 'typescript', 'out'),
      operations: [...all, 'copy'],
      singleThreaded: true,
      mostElements: mostOfSlow,
      installation: 'npm ci',
    },
    { name: 'pytorch', ...pytorch },
    { name: 'pytorchBest', ...pytorch, variant: 'best', environment: { ...keptMemory, ...widest } },
    { name: 'onednn', ...onednn, ...best, command: [join(programs, 'peer_onednn'), 'best'] },
    { name: 'onednnPlain', ...onednn, ...plain, command: [join(programs, 'peer_onednn'), 'plain'] },
    ...(debian13 === undefined ? [] : newPeers(debian13)),
    {
      name: 'onnxruntime',
      product: 'ONNX Runtime',
      command: node('onnxruntime.ts'),
      operations: ['eval'],
      mostElements: mostOfOnnxRuntime,
      installation: 'ONNXRUNTIME_NODE_INSTALL=skip npm install --no-save onnxruntime-node onnx-proto',
    },
    {
      name: 'tfjs',
      product: 'tfjs wasm',
      command: node('tfjs.ts'),
      operations: ['forward', 'step', 'eval'],
      singleThreaded: true,
      mostElements: mostOfSlow,
      installation: 'npm ci',
    },
  ]
}

function newPeers(debian13: Debian13): Contestant[] {
  const common = { operations: all, mostElements: Number.POSITIVE_INFINITY }
  const pytorch = { product: 'PyTorch', ...common, ...debian13.pytorch }
  const onednn = { product: 'oneDNN', ...common, ...debian13.onednn }
  const layout = (word: 'best' | 'plain') => ({
    ...onednn,
    variant: `${word} layout`,
    command: [...onednn.command, word],
  })
  return [
    { name: 'newPytorch', ...pytorch },
    { name: 'newPytorchKept', ...pytorch, variant: 'kept memory', environment: keptMemory },
    {
      name: 'newPytorchWide',
      ...pytorch,
      variant: 'kept, avx512',
      environment: { ...keptMemory, ...widest },
    },
    { name: 'newOnednn', ...layout('best') },
    { name: 'newOnednnPlain', ...layout('plain') },
  ]
}

/** `PyTorch 2.6`; `title` is what the worker calls itself. */
export function productOf({ product }: Contestant, title = ''): string {
  const version = title.startsWith(`${product} `) ? title.match(/ \d+\.\d+/)?.[0] : undefined
  return `${product}${version ?? ''}`
}

/** `PyTorch 2.6, kept memory` */
export function columnOf(contestant: Contestant, title = ''): string {
  const { variant } = contestant
  return [productOf(contestant, title), ...(variant === undefined ? [] : [variant])].join(', ')
}
