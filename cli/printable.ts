import { printable } from '../lib/checks/printable.ts'

/** Text of several lines, each of which `printable` makes safe. JSON keeps its meaning. */
export function printableLines(text: string): string {
  return text.split('\n').map(printable).join('\n')
}

/** A message as one line. */
export function oneLine(text: string): string {
  return printable(text.trim().replace(/\s*\n\s*/g, ' '))
}
