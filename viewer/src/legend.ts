/** The legend of the map: every class with its edge, the strongest on top. */

import { type ColourClass, css, LOW_CHANCE, type Kind } from './colours'
import { el } from './dom'
import { percent, t } from './i18n'

function edge(kind: Kind, from: number): string {
  if (from === -Infinity) return ''
  return kind.colours === 'probability' ? percent(from) : String(from)
}

/** Fill the legend. */
export function showLegend(element: HTMLElement, kind: Kind, table: readonly ColourClass[], members: number): void {
  const likely = kind.colours === 'probability'
  const shown = table.filter(({ colour, from }) => colour && !(kind.colours === 'hours' && from === -Infinity))
  const thin = kind.colours === 'temperature' ? 5 : 1
  const rows = shown.map(({ from, colour }, n) => {
    const swatch = el('i', { class: likely && from < LOW_CHANCE ? 'hatched' : '' })
    swatch.style.setProperty('--swatch', css(colour!))
    return el('li', {}, swatch, n % thin && n !== shown.length - 1 ? null : el('span', {}, edge(kind, from)))
  })
  element.className = `legend ${kind.colours}`
  element.replaceChildren(
    el('h3', {}, likely ? t('legend.of', { members }) : kind.shown_units),
    el('ul', {}, ...rows.reverse()),
  )
}
