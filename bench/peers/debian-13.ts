/**
 * PyTorch and oneDNN of Debian 13 on a machine that has others: they are run by chroot in a folder
 * that `debootstrap trixie` made. It needs the rights of root.
 */
import { spawnSync } from 'node:child_process'
import { copyFileSync } from 'node:fs'
import { join } from 'node:path'

const workers = join(import.meta.dirname, 'workers')
const memory = join(import.meta.dirname, '../native')
const sources = ['onednn.cpp', 'protocol.cpp', 'memory.cpp']
const headers = ['protocol.h', 'memory.h']

/** How a contestant is started. */
export interface Program {
  readonly command: readonly string[]
  /** The folder that the process sees as `/`. */
  readonly root?: string
  /** How to get it, said where it does not start. */
  readonly installation: string
}

/** How its programs are started. */
export interface Debian13 {
  readonly pytorch: Program
  /** A word tells in which layout; `onednn.cpp` has them. */
  readonly onednn: Program
}

/** `scratch` is a folder within `root`: copies of the workers go there, and programs that are built. */
export function prepareDebian13(root: string, scratch: string, tell: (line: string) => void): Debian13 {
  for (const name of ['pytorch.py', ...sources, ...headers]) {
    const from = name.startsWith('memory') ? memory : workers
    copyFileSync(join(from, name), join(scratch, name))
  }
  const inside = (name: string) => join('/', scratch.slice(root.length), name)
  // /proc and /sys tell PyTorch which vectors the processor has. They are mounted for this process alone.
  const script = 'mount --bind /proc "$0/proc" && mount --bind /sys "$0/sys" && exec chroot "$0" "$@"'
  const within = (...words: string[]) => ['unshare', '--mount', 'sh', '-c', script, root, ...words]
  const program = inside('peer_onednn')
  const flags = ['-std=c++17', '-O3', '-march=native', '-fopenmp', '-pthread', '-o', program]
  const [command, ...words] = within('g++', ...flags, ...sources.map(inside), '-ldnnl')
  const { status, stderr } = spawnSync(command, words, { encoding: 'utf8' })
  if (status !== 0) tell(`oneDNN of ${root} was not built: ${stderr}`)
  const part = (packages: string, ...words: string[]) => ({
    command: within(...words),
    root,
    installation: `chroot ${root} apt-get install ${packages}`,
  })
  return {
    pytorch: part('python3-torch', '/usr/bin/python3', inside('pytorch.py')),
    onednn: part('g++ libdnnl-dev', program),
  }
}
