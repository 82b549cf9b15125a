import { html, type Markup } from './markup.ts'

/** A table; the first column names its rows. */
export function table(header: readonly string[], rows: readonly (readonly (string | Markup)[])[]): Markup {
  return html`<div class="card table">${plainTable(header, rows)}</div>
`
}

/** A table for a card that has more in it. */
export function plainTable(
  header: readonly string[],
  rows: readonly (readonly (string | Markup)[])[],
): Markup {
  return html`<table>
<thead><tr>${header.map((title) => html`<th scope="col">${title}</th>`)}</tr></thead>
<tbody>
${rows.map((row) => html`<tr>${row.map((cell, column) => tableCell(cell, header[column], column))}</tr>\n`)}</tbody>
</table>`
}

/** Where there is no room for columns, the style sheet shows the title beside the cell. */
function tableCell(content: string | Markup, title: string, column: number): Markup {
  return column === 0
    ? html`<th scope="row">${content}</th>`
    : html`<td data-title="${title}">${content}</td>`
}
