/**
 * Controls, surrogates without their other half, what has no glyph of its own (zero width, tags, fillers), what
 * turns the direction of writing, and all that ends a line: a terminal and a browser obey it in place of showing it.
 */
const unprintable = /[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu

/**
 * Text of anybody's that stays on its line and looks like what it is: such characters as JSON escapes them,
 * `a\u000ab`.
 */
export function printable(text: string): string {
  return text.replace(unprintable, (character) =>
    Array.from({ length: character.length }, (_, unit) => {
      return `\\u${character.charCodeAt(unit).toString(16).padStart(4, '0')}`
    }).join(''),
  )
}
