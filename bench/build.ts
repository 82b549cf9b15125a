import { spawnSync } from 'node:child_process'
import { join } from 'node:path'

const root = join(import.meta.dirname, '..')
const folder = join(root, 'build-native-bench')

/** Builds C++ programs, and returns where they are. Throws what the build said if it fails. */
export function buildPrograms(target: 'bench_native' | 'peers'): string {
  run('cmake', ['-S', root, '-B', folder, '-DBATCHNORM_BENCH=ON', '-DBUILD_TESTING=OFF'])
  run('cmake', ['--build', folder, '--target', target, '--parallel', '2'])
  return join(folder, 'bench/native')
}

function run(command: string, words: readonly string[]): void {
  const { status, error, stdout, stderr } = spawnSync(command, words, { encoding: 'utf8' })
  if (error) throw error
  if (status !== 0) throw new Error(`${command} ${words.join(' ')} failed:\n${stdout}${stderr}`)
}
