/**
 * The results files, one a processor: `peers/results/<processor>.json`. Each command keeps a section
 * there, which it replaces whole; each measurement is a line.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { writeText } from '../lib/checkpoints/write.ts'
import type { Goal } from './goals.ts'
import { fileNameOf, type Processor } from './processor.ts'

const resultsFolder = join(import.meta.dirname, 'peers/results')

export interface Section {
  readonly processor: Processor
  /** How it was measured. */
  readonly settings: Readonly<Record<string, unknown>>
  readonly goals: readonly Goal[]
  readonly measurements: readonly object[]
}

export type Results = Partial<Record<'native' | 'plainCall' | 'peers', Section>>

/** Replaces a section of this processor's file, and returns the file's path. */
export function saveSection(name: keyof Results, section: Section): string {
  mkdirSync(resultsFolder, { recursive: true })
  const file = join(resultsFolder, `${fileNameOf(section.processor)}.json`)
  const sections = existsSync(file) ? read(file) : {}
  writeText(file, readable({ ...sections, [name]: section }))
  return file
}

/** Of every processor that has a file. */
export function readResults(): Results[] {
  return readdirSync(resultsFolder)
    .filter((name) => name.endsWith('.json'))
    .sort()
    .map((name) => read(join(resultsFolder, name)))
}

function read(file: string): Results {
  return JSON.parse(readFileSync(file, 'utf8'))
}

/** Sections and their parts on lines of their own, and what is listed there: an entry a line. */
function readable(sections: Results): string {
  const listed = (open: string, entries: readonly string[], close: string, indent: string) =>
    `${open}\n${entries.map((entry) => `${indent}  ${entry}`).join(',\n')}\n${indent}${close}`
  const keyed = (key: string, text: string) => `${JSON.stringify(key)}: ${text}`
  const part = (value: unknown) =>
    Array.isArray(value) && value.length > 0 ? listed('[', value.map(compact), ']', '    ') : compact(value)
  const section = (parts: Section) =>
    listed(
      '{',
      Object.entries(parts).map(([key, value]) => keyed(key, part(value))),
      '}',
      '  ',
    )
  const all = Object.entries(sections).map(([key, value]) => keyed(key, section(value)))
  return `${listed('{', all, '}', '')}\n`
}

function compact(value: unknown): string {
  return JSON.stringify(value, null, 1).replace(/\n */g, ' ')
}
