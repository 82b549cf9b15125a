import { printable } from '../lib/checks/printable.ts'

/**
 * Rows under titles, columns aligned: to the right those of numbers, or those that `isRight` says.
 * Characters that would move the cursor are shown as escapes: names in a file are anybody's.
 */
export function formatTable(
  titles: readonly string[],
  rows: readonly (readonly (string | number)[])[],
  isRight = (column: number) => rows.every((row) => typeof row[column] === 'number'),
): string {
  const cells = rows.map((row) => row.map((cell) => printable(String(cell))))
  const widths = titles.map((title, column) =>
    cells.reduce((most, row) => Math.max(most, row[column].length), title.length),
  )
  const line = (row: readonly string[]) =>
    row
      .map((cell, column) => (isRight(column) ? cell.padStart(widths[column]) : cell.padEnd(widths[column])))
      .join('  ')
      .trimEnd()
  return [line(titles), line(widths.map((width) => '-'.repeat(width))), ...cells.map(line)].join('\n')
}

/** For `isRight`: a column of names, and then numbers that are written out. */
export function afterFirst(column: number): boolean {
  return column > 0
}
