import { printableLines } from '../printable.ts'

/** The smallest template language: `html` escapes what it is given, unless it is markup already. */
export class Markup {
  constructor(readonly text: string) {}
}

type Part = string | number | Markup | readonly Markup[]

export function html(strings: TemplateStringsArray, ...parts: Part[]): Markup {
  return new Markup(String.raw({ raw: strings }, ...parts.map(textOf)))
}

function textOf(part: Part): string {
  if (part instanceof Markup) return part.text
  if (typeof part === 'object') return part.map(({ text }) => text).join('')
  return printableLines(String(part)).replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}
