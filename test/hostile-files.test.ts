/** What is small and asks for much is refused, in our words, before it is walked, copied or decoded. */
import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

test('in a heap of 128 MB each call ends with an error of ours', { timeout: 300_000 }, () => {
  const path = fileURLToPath(new URL('processes/small-heap.ts', import.meta.url))
  const flags = ['--max-old-space-size=128', '--import', 'tsx']
  const stdout = execFileSync(process.execPath, [...flags, path], { encoding: 'utf8' })
  const expected = [
    'an array in itself: Expected values[0]',
    'an array again and again: Expected values to be at most 268435456 numbers',
    'an array that is long and empty: Expected values[0] to be a number but received undefined',
    'channels beyond memory: Expected numFeatures to be at most 16777216',
    'moments beyond memory: Expected channels to be at most 16777216',
    'empty initializers: Expected bytes to be a model of at most 1048576 messages',
    'empty nodes: Expected bytes to be a model of at most 1048576 messages',
    'empty nodes in a node: Expected bytes to be a model of at most 1048576 messages',
    'integers of one byte: Expected bytes to be a model of at most 1048576 messages',
    'many nodes, each of many values: Expected 20000 nodes of rank 0',
    'a header of empty objects: Expected the header of the bytes to be JSON of at most 937516 objects and arrays',
    'a header of an array of empty arrays: Expected the header of the bytes to be JSON of at most 937516 objects',
  ]
  const lines = stdout.trimEnd().split('\n')
  expect(lines.map((line, index) => line.slice(0, expected[index]?.length))).toEqual(expected)
})
