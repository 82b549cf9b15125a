/** Who is measured. Each of them is a process of its own that speaks the protocol of `worker.ts`. */
import { join } from 'node:path'

/**
 * Batch normalization in training, its gradient, and in eval; `step` is forward and backward in one
 * where they cannot be had apart. `read`, `copy` and `stream` make the floor; `scratch` tells memory.
 */
export type Operation = 'forward' | 'backward' | 'eval' | 'step' | 'read' | 'copy' | 'stream' | 'scratch'

export type ContestantName =
  | 'floor'
  | 'native'
  | 'out'
  | 'fresh'
  | 'typescript'
  | 'pytorch'
  | 'pytorchBest'
  | 'onednn'
  | 'onnxruntime'
  | 'tfjs'

export interface Contestant {
  readonly name: ContestantName
  /** For a column. */
  readonly title: string
  readonly command: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
  /** What is timed; batch normalization among it is checked before. */
  readonly operations: readonly Operation[]
  /** Whether it has no more than one thread; then that time stands in every comparison. */
  readonly singleThreaded?: true
  /** Elements of the largest tensor that it is asked to do. */
  readonly mostElements: number
  /** How to get it, said where it does not start. */
  readonly installation: string
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
/** 256 MiB: above it only this library is measured, for its cost an element. */
const mostOfPeers = 2 ** 26

/** `programs` is the folder of the C++ programs. */
export function contestantsIn(programs: string): Contestant[] {
  const addon = 'npm run build:native'
  const compiled = 'cmake and a C++ compiler'
  const pytorch = {
    command: ['/usr/bin/python3', join(workers, 'pytorch.py')],
    operations: all,
    mostElements: mostOfPeers,
    installation: 'apt-get install python3-torch',
  }
  return [
    {
      name: 'floor',
      title: 'floor',
      command: [join(programs, 'peer_floor')],
      operations: ['read', 'copy', 'stream'],
      mostElements: Number.POSITIVE_INFINITY,
      installation: compiled,
    },
    {
      name: 'native',
      title: 'C++',
      command: [join(programs, 'peer_batchnorm')],
      operations: all,
      mostElements: Number.POSITIVE_INFINITY,
      installation: compiled,
    },
    {
      name: 'out',
      title: 'JS, out',
      command: node('batchnorm.ts', 'native', 'out'),
      operations: all,
      mostElements: Number.POSITIVE_INFINITY,
      installation: addon,
    },
    {
      name: 'fresh',
      title: 'JS, fresh',
      command: node('batchnorm.ts', 'native', 'fresh'),
      operations: all,
      mostElements: mostOfPeers,
      installation: addon,
    },
    {
      name: 'typescript',
      title: 'TypeScript',
      command: node('batchnorm.ts', 'typescript', 'out'),
      operations: [...all, 'copy'],
      singleThreaded: true,
      mostElements: mostOfSlow,
      installation: 'npm ci',
    },
    { name: 'pytorch', title: 'PyTorch', ...pytorch },
    {
      name: 'pytorchBest',
      title: 'PyTorch, best',
      ...pytorch,
      // The widest vectors that its builders did not trust by default, and a malloc that keeps what it has.
      environment: {
        ATEN_CPU_CAPABILITY: 'avx512',
        MALLOC_MMAP_THRESHOLD_: '4294967296',
        MALLOC_TRIM_THRESHOLD_: '17179869184',
        MALLOC_TOP_PAD_: '268435456',
      },
    },
    {
      name: 'onednn',
      title: 'oneDNN',
      command: [join(programs, 'peer_onednn')],
      operations: all,
      mostElements: mostOfPeers,
      installation: 'apt-get install libdnnl-dev',
    },
    {
      name: 'onnxruntime',
      title: 'ONNX Runtime',
      command: node('onnxruntime.ts'),
      operations: ['eval'],
      mostElements: mostOfOnnxRuntime,
      installation: 'ONNXRUNTIME_NODE_INSTALL=skip npm install --no-save onnxruntime-node onnx-proto',
    },
    {
      name: 'tfjs',
      title: 'tfjs wasm',
      command: node('tfjs.ts'),
      operations: ['forward', 'step', 'eval'],
      singleThreaded: true,
      mostElements: mostOfSlow,
      installation: 'npm ci',
    },
  ]
}
