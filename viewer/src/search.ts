/** Finding a place by name (Chinese or English), code or coordinates. */

import { el } from './dom'
import { also, said, t } from './i18n'
import type { Board, Zone } from './published'
import type { Place } from './state'

export interface Found {
  place: Place
  label: string
  outside: boolean
}

const MOST = 8

function plain(text: string): string {
  return text.trim().toLowerCase().replaceAll('台', '臺').replaceAll("'", '')
}

/** A zone with the one that it is part of in front: 花蓮縣秀林鄉, Xiulin Township, Hualien County. */
export function fullName(zone: Zone, board: Board, say: (zone: Zone) => string = said): string {
  const parent = zone.parent === null ? undefined : board.byCode.get(zone.parent)
  if (!parent) return say(zone)
  return say === said && document.documentElement.lang === 'zh-Hant'
    ? `${say(parent)} ${say(zone)}`
    : `${say(zone)}, ${say(parent)}`
}

/** `22.04, 121.55`: latitude and longitude, in either order as Taiwan lies, null where it is no place. */
export function coordinates(text: string): [number, number] | null {
  const found = /^\s*(-?\d+(?:\.\d+)?)\s*°?\s*[N北]?\s*[,，\s]\s*(-?\d+(?:\.\d+)?)\s*°?\s*[E東]?\s*$/i.exec(text)
  if (!found) return null
  const [a, b] = [Number(found[1]), Number(found[2])]
  const [latitude, longitude] = a > 90 ? [b, a] : [a, b]
  return Math.abs(latitude) <= 90 && Math.abs(longitude) <= 180 ? [latitude, longitude] : null
}

/** What a text may mean, names that begin with it first. */
export function search(text: string, board: Board | null): Found[] {
  const pt = coordinates(text)
  if (pt) return [{ place: { pt }, label: `${pt[0]}°N ${pt[1]}°E`, outside: false }]
  const wanted = plain(text)
  if (!board || !wanted) return []
  const rank = (zone: Zone): number => {
    const among = [plain(zone.zh), plain(zone.en), zone.code]
    if (among.some((name) => name.startsWith(wanted))) return 0
    return among.some((name) => name.includes(wanted)) ||
      plain(fullName(zone, board)).replaceAll(' ', '').includes(wanted)
      ? 1
      : 2
  }
  const outside = new Set(board.outside)
  return [...board.byCode.values()]
    .map((zone) => ({ zone, at: rank(zone) }))
    .filter(({ at }) => at < 2)
    .sort((a, b) => a.at - b.at || a.zone.code.length - b.zone.code.length || a.zone.code.localeCompare(b.zone.code))
    .slice(0, MOST)
    .map(({ zone }) => ({
      place: { zone: zone.code },
      label: `${fullName(zone, board)}  ${also(zone)}`,
      outside: outside.has(zone),
    }))
}

/** The field to type into, and the list of what it may mean. */
export class SearchBox {
  readonly element = el('div', { class: 'search' })
  private readonly input = el('input', {
    type: 'text',
    role: 'combobox',
    'aria-expanded': 'false',
    'aria-controls': 'found',
    'aria-autocomplete': 'list',
    autocomplete: 'off',
    spellcheck: 'false',
    id: 'search',
  })
  private readonly list = el('ul', { id: 'found', role: 'listbox', hidden: true })
  private found: Found[] = []
  private active = 0
  board: Board | null = null

  constructor(private readonly choose: (found: Found) => void) {
    this.element.append(this.input, this.list)
    this.input.addEventListener('input', () => this.update())
    this.input.addEventListener('keydown', (event) => this.key(event))
    this.input.addEventListener('blur', () => window.setTimeout(() => this.close(), 150))
    this.relabel()
  }

  relabel(): void {
    this.input.setAttribute('aria-label', t('search.label'))
    this.input.setAttribute('placeholder', t('search.placeholder'))
    this.list.setAttribute('aria-label', t('search.label'))
  }

  focus(): void {
    this.input.focus()
    this.input.select()
  }

  private update(): void {
    this.found = search(this.input.value, this.board)
    this.active = 0
    this.draw()
  }

  private draw(): void {
    const items = this.found.map((found, n) =>
      el(
        'li',
        {
          role: 'option',
          id: `found-${n}`,
          'aria-selected': String(n === this.active),
          onpointerdown: () => this.take(n),
        },
        found.label,
        found.outside ? el('small', {}, t('search.outside')) : null,
      ),
    )
    const nothing =
      this.input.value.trim() && !items.length
        ? [el('li', { class: 'quiet', role: 'option', 'aria-selected': 'false' }, t('search.nothing'))]
        : []
    this.list.replaceChildren(...items, ...nothing)
    const open = this.list.children.length > 0
    this.list.hidden = !open
    this.input.setAttribute('aria-expanded', String(open))
    if (items.length) this.input.setAttribute('aria-activedescendant', `found-${this.active}`)
    else this.input.removeAttribute('aria-activedescendant')
  }

  private key(event: KeyboardEvent): void {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key]
    if (step && this.found.length) {
      this.active = (this.active + step + this.found.length) % this.found.length
      this.draw()
      event.preventDefault()
    } else if (event.key === 'Enter') this.take(this.active)
    else if (event.key === 'Escape') {
      this.close()
      this.input.blur()
    }
    event.stopPropagation()
  }

  private take(n: number): void {
    const found = this.found[n]
    if (!found) return
    this.input.value = ''
    this.close()
    this.input.blur()
    this.choose(found)
  }

  private close(): void {
    this.found = []
    this.list.hidden = true
    this.input.setAttribute('aria-expanded', 'false')
    this.input.removeAttribute('aria-activedescendant')
  }
}
