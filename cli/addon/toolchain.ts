import { accessSync, constants, existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { delimiter, dirname, join, resolve } from 'node:path'

/** What compiling an addon needs beside node-gyp, and how it is had. */
export const needs =
  'a C++17 compiler, make and Python 3 (Debian: apt install g++ make python3; Alpine: apk add g++ make python3; ' +
  'macOS: xcode-select --install; Windows: Visual Studio with C++, and Python)'

/** What is not there of it. Windows tells in its own way where its tools lie: there node-gyp looks. */
export function missingTools(): string[] {
  if (process.platform === 'win32') return []
  const { CXX, PYTHON, npm_config_python } = process.env
  return [
    { tool: 'C++ compiler', names: [CXX?.split(' ').at(-1), 'g++', 'c++', 'clang++'] },
    { tool: 'make', names: ['make', 'gmake'] },
    { tool: 'Python 3', names: [PYTHON, npm_config_python, 'python3', 'python'] },
  ]
    .filter(({ names }) => !names.some((name) => name && isOnPath(name)))
    .map(({ tool }) => tool)
}

/** The program node-gyp: the project's own, npm's as npm tells it, or that of the npm which came with Node. */
export function findNodeGyp(root: string): string | undefined {
  const program = 'node-gyp/bin/node-gyp.js'
  const beside = dirname(process.execPath)
  const ofNpm = ['../lib/node_modules', 'node_modules'].map((folder) =>
    resolve(beside, folder, 'npm/node_modules', program),
  )
  return [installed(root, program), process.env.npm_config_node_gyp, ...ofNpm].find(
    (path) => path && existsSync(path),
  )
}

/** Node's own headers, where it has them: node-gyp would download them. */
export function findHeaders(): string | undefined {
  const prefix = resolve(process.execPath, '../..')
  return existsSync(join(prefix, 'include/node/node_api.h')) ? prefix : undefined
}

function installed(root: string, program: string): string | undefined {
  try {
    return createRequire(join(root, 'package.json')).resolve(program)
  } catch {
    return undefined
  }
}

function isOnPath(name: string): boolean {
  const folders = (process.env.PATH ?? '').split(delimiter)
  return folders.some((folder) => {
    try {
      accessSync(resolve(folder, name), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}
