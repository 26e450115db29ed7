/** The board: which criteria are reached where, how likely and when. Complete without the map. */

import { button, el } from './dom'
import { also, digits, percent, said, t, word } from './i18n'
import { type Board, type Hazard, type Row, type Words, type Zone } from './published'
import { HOUR, taiwanHour } from './time'

export type KindFilter = 'all' | Hazard['kind']
const KINDS: KindFilter[] = ['all', 'rain', 'wind', 'heat', 'cold']
const ICONS: Record<Hazard['kind'], string> = { rain: '☂', wind: '≋', heat: '☀', cold: '❄' }

/** A word for a count of members: low, medium or high. Exact, without division. */
export function chanceWord(hits: number, members: number): 'low' | 'medium' | 'high' {
  if (10 * hits < 3 * members) return 'low'
  return 10 * hits > 7 * members ? 'high' : 'medium'
}

/** `16–18` by Taiwan's clock: by when 10 and 50 % of the members that reach it have. */
export function onsetText(row: Row, init: number): string {
  if (!row.onset) return '–'
  const [first, half] = row.onset.map((lead) => taiwanHour(init + lead * HOUR))
  return first === half ? first : `${first}–${half}`
}

interface Hooks {
  choose(row: Row): void
}

export class BoardView {
  readonly element = el('section', { class: 'board', 'aria-labelledby': 'board-title' })
  private kind: KindFilter = 'all'
  private hazard = ''
  private open = new Set<string>()
  private board: Board | null = null
  private init = NaN
  private chosen: string | null = null

  constructor(private readonly hooks: Hooks) {}

  show(board: Board | null, init: number, chosen: string | null): void {
    Object.assign(this, { board, init, chosen })
    const focused = this.element.contains(document.activeElement)
      ? document.activeElement!.getAttribute('data-key')
      : null
    const scrolled = this.element.querySelector('.rows')?.scrollTop ?? 0
    this.element.replaceChildren(el('h2', { id: 'board-title' }, t('board.title')), ...this.content())
    this.element.querySelector('.rows')?.scrollTo(0, scrolled)
    if (focused)
      this.element.querySelector<HTMLElement>(`[data-key="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true })
  }

  /** Move the focus into the board. */
  focus(): void {
    this.element.querySelector<HTMLElement>('.rows button, select')?.focus()
  }

  private content(): HTMLElement[] {
    const { board } = this
    if (!board) return [el('p', { class: 'quiet' }, t('board.none'))]
    const counties = this.filtered(board).filter(({ zone }) => zone.parent === null)
    return [
      this.filters(board),
      el(
        'div',
        { class: 'rows', tabindex: 0, role: 'region', 'aria-label': t('board.rows') },
        counties.length ? this.table(board, counties) : this.empty(board),
      ),
      this.footnotes(board),
    ]
  }

  private filtered(board: Board): Row[] {
    return board.rows.filter(
      ({ hazard }) => (this.kind === 'all' || hazard.kind === this.kind) && (!this.hazard || hazard.id === this.hazard),
    )
  }

  private again(): void {
    this.show(this.board, this.init, this.chosen)
  }

  private filters(board: Board): HTMLElement {
    const present = new Set(board.rows.map(({ hazard }) => hazard.id))
    const among = board.hazards.filter(({ id, kind }) => present.has(id) && (this.kind === 'all' || kind === this.kind))
    const option = (value: string, text: string) => el('option', { value, selected: value === this.hazard }, text)
    const pick = el(
      'select',
      {
        'aria-label': t('board.criterion'),
        'data-key': 'criterion',
        onchange: (event: Event) => {
          this.hazard = (event.target as HTMLSelectElement).value
          this.again()
        },
      },
      option('', t('board.every')),
      ...among.map((hazard) => option(hazard.id, `${said(hazard.class)} ${short(hazard)}`)),
    )
    const kinds = KINDS.map((kind) =>
      button(
        word('kind', kind),
        () => {
          Object.assign(this, { kind, hazard: '' })
          this.again()
        },
        { 'aria-pressed': String(kind === this.kind), 'data-key': `kind ${kind}` },
      ),
    )
    return el('div', { class: 'filters' }, ...kinds, pick)
  }

  private table(board: Board, counties: Row[]): HTMLElement {
    const heads = ['zone', 'class', 'members', 'onset', 'peak', 'share']
    const rows = counties.flatMap((row) => {
      const key = `${row.zone.code} ${row.hazard.id}`
      const parts = board.rows.filter(({ zone, hazard }) => zone.parent === row.zone.code && hazard === row.hazard)
      return [
        this.row(row, board, parts.length),
        ...(this.open.has(key) ? parts.map((part) => this.row(part, board)) : []),
      ]
    })
    return el(
      'table',
      {},
      el('caption', {}, t('board.caption', { members: board.members, hours: board.lead_hours })),
      el(
        'thead',
        {},
        el('tr', {}, ...heads.map((name) => el('th', { scope: 'col', class: name }, word('column', name)))),
      ),
      el('tbody', {}, ...rows),
    )
  }

  private row(row: Row, board: Board, parts = -1): HTMLElement {
    const { zone, hazard, hits } = row
    const key = `${zone.code} ${hazard.id}`
    const level = chanceWord(hits, board.members)
    const opened = this.open.has(key)
    const toggle =
      parts > 0 &&
      button(
        opened ? '▾' : '▸',
        () => {
          if (!this.open.delete(key)) this.open.add(key)
          this.again()
        },
        {
          class: 'toggle',
          'aria-expanded': String(opened),
          'aria-label': t('board.parts', { zone: said(zone), count: parts }),
          'data-key': `open ${key}`,
        },
      )
    const name = button(said(zone), () => this.hooks.choose(row), {
      class: 'name',
      'data-key': `row ${key}`,
      'aria-pressed': String(this.chosen === zone.code),
      title: also(zone),
    })
    const [, median, most] = row.peak
    const bound = row.at_least ? '≥' : ''
    return el(
      'tr',
      {
        class: `${zone.parent === null ? 'county' : 'township'} rank${hazard.rank}`,
        'data-zone': zone.code,
        'data-hazard': hazard.id,
      },
      el('th', { scope: 'row' }, el('span', { class: 'zone' }, toggle, name)),
      el(
        'td',
        { class: 'class' },
        el('span', { class: 'icon', 'aria-hidden': 'true' }, ICONS[hazard.kind]),
        said(hazard.class),
        el('small', { title: said(hazard.criterion) }, short(hazard)),
      ),
      el('td', { class: `members ${level}` }, this.count(row, board, level)),
      el(
        'td',
        { class: 'onset' },
        row.reached_before ? el('small', {}, t('board.before')) : null,
        onsetText(row, this.init),
      ),
      el(
        'td',
        { class: 'peak' },
        `${bound}${digits(median)}`,
        el('small', {}, `${bound}${digits(most)} ${hazard.unit}`),
      ),
      el('td', { class: 'share' }, row.share > 0 && row.share < 0.01 ? '<1%' : percent(row.share)),
    )
  }

  private count({ hits }: Row, { members }: Board, level: 'low' | 'medium' | 'high'): HTMLElement {
    const bar = el('span', { class: 'bar', 'aria-hidden': 'true' })
    const part = el('span')
    part.style.width = `${(100 * hits) / members}%`
    bar.append(part)
    return el(
      'span',
      { class: 'count' },
      el('b', {}, String(hits)),
      `/${members} `,
      el('small', {}, word('chance', level)),
      bar,
    )
  }

  private empty(board: Board): HTMLElement {
    const near = board.nearest.map((row) =>
      el(
        'li',
        {},
        button(said(row.zone), () => this.hooks.choose(row)),
        ` ${said(row.hazard.class)} ${short(row.hazard)}: `,
        t('board.near', { peak: digits(row.peak[3], 1), unit: row.hazard.unit }),
      ),
    )
    return el(
      'div',
      { class: 'empty' },
      el(
        'p',
        {},
        t(this.kind === 'all' && !this.hazard ? 'board.empty' : 'board.filtered', { hours: board.lead_hours }),
      ),
      near.length ? el('p', {}, t('board.nearest')) : null,
      near.length ? el('ul', {}, ...near) : null,
    )
  }

  private footnotes(board: Board): HTMLElement {
    const outside = board.outside.filter(({ parent }) => parent === null)
    const unjudged = new Map(
      board.hazards.flatMap(({ not_judged }) => (not_judged ? [[not_judged.zh, not_judged] as const] : [])),
    )
    const silent = board.hazards.filter(({ leads }) => !leads.length)
    const list = (words: Iterable<Words>) => [...words].map((each) => el('li', {}, said(each)))
    return el(
      'div',
      { class: 'footnotes' },
      el('p', {}, `${t('board.outside')} ${names(outside)}`),
      el(
        'details',
        {},
        el('summary', { 'data-key': 'unjudged' }, t('board.unjudged')),
        el(
          'ul',
          {},
          ...list(unjudged.values()),
          ...silent.map((hazard) => el('li', {}, `${said(hazard.class)} ${short(hazard)}: ${t('board.silent')}`)),
        ),
      ),
    )
  }
}

function names(zones: Zone[]): string {
  return zones.map((zone) => said(zone)).join(t('list.comma'))
}

/** `40 mm/1 h`, `6 級`: a criterion in a few letters. */
export function short(hazard: Hazard): string {
  if (hazard.kind === 'wind') return t('force', { force: hazard.id.split('_').at(-1)! })
  if (hazard.kind === 'rain') return `${hazard.threshold} mm/${hazard.hours} h`
  return `${hazard.threshold} °C`
}
