/** What the map shows of a run at an hour: colours, fills by zone, and the words for it. */

import {
  type ColourClass,
  classes,
  classOf,
  css,
  lookup,
  LOW_CHANCE,
  packedEdge,
  type Kind,
  type Palette,
  type Theme,
} from './colours'
import { LEVELS } from './contours'
import { type Choice, criterion } from './fields'
import { digits, percent, t } from './i18n'
import type { Fills, Painting } from './painting'
import type { Board, Row } from './published'
import type { Field } from './zarr'
import { beaufort } from './units'

const PROBABILITY: Kind = {
  shown_units: '1',
  zh: '機率',
  en: 'probability',
  colours: 'probability',
  steps: [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9],
}

/** No zone is filled; one and the same, so that nobody draws it again. */
const UNFILLED: Fills = new Map()

interface Highest {
  value: number
  cell: number
}

/** A choice whose numbers are here: a field, or the rows of the board for chances by zone. */
export class Display {
  readonly kind: Kind
  private readonly found = new Map<number, Highest | null>()
  private painted: { key: string; table: ColourClass[]; paint: (at: number) => Painting } | null = null

  constructor(
    readonly choice: Choice,
    readonly field: Field | null,
    readonly board: Board | null,
  ) {
    this.kind = field?.kind ?? PROBABILITY
  }

  /** True for what holds for the whole run, whatever the hour. */
  get isTimeless(): boolean {
    return this.field ? this.field.leads === 1 : this.choice.s === 'zever'
  }

  table(pal: Palette, theme: Theme): ColourClass[] {
    return this.prepared(pal, theme).table
  }

  /** What to paint at an hour; null where zones are filled instead. */
  painting(at: number, pal: Palette, theme: Theme): Painting | null {
    return this.field && this.prepared(pal, theme).paint(at)
  }

  private prepared(pal: Palette, theme: Theme) {
    const key = `${pal} ${theme}`
    if (this.painted?.key === key) return this.painted
    const table = classes(this.kind, pal, theme)
    const { field } = this
    const look = field && lookup(table, field.packing, field.bits)
    const hatchBelow =
      field && this.kind.colours === 'probability' ? packedEdge(LOW_CHANCE, field.packing.scale) : -Infinity
    const kept = new Map<number, Painting>()
    const paint = (at: number): Painting => {
      const hour = field!.leads === 1 ? 0 : at
      if (!kept.has(hour))
        kept.set(hour, { field: field!, at: hour, look: look!, hatchBelow, levels: LEVELS[this.kind.colours] ?? [] })
      return kept.get(hour)!
    }
    this.painted = { key, table, paint }
    return this.painted
  }

  /** How townships are filled at an hour; empty unless chances by zone are shown. */
  fills(at: number, pal: Palette, theme: Theme): Fills {
    if (this.field || !this.board) return UNFILLED
    const table = this.table(pal, theme)
    const made: Fills = new Map()
    for (const row of this.rows()) {
      const share = this.chance(row, at)
      const colour = classOf(table, share).colour
      if (row.zone.parent !== null && colour)
        made.set(row.zone.code, { colour: css(colour), hatched: share < LOW_CHANCE })
    }
    return made
  }

  private rows(): Row[] {
    const hazard = criterion(this.choice, this.board!)
    return this.board!.rows.filter((row) => row.hazard === hazard)
  }

  private chance(row: Row, at: number): number {
    const hits = this.choice.s === 'zever' ? row.hits : row.by_lead[at]
    return hits === null ? NaN : hits / this.board!.members
  }

  /** The value at a cell, or of the zone that it is in, in words. */
  valueText(at: number, cell: number, zone: string | null, members: number): string {
    if (this.field) return this.numberText(this.field.value(at, cell), members)
    const row = this.rows().find(({ zone: { code } }) => code === zone)
    return zone === null ? '–' : this.numberText(row ? this.chance(row, at) : 0, members)
  }

  /** A number in the units that people read. */
  numberText(value: number, members: number): string {
    if (Number.isNaN(value)) return t('value.none')
    const { colours, shown_units } = this.kind
    if (colours === 'probability') return `${percent(value)} · ${Math.round(value * members)}/${members}`
    if (colours === 'hours') return t('value.onset', { hours: digits(value) })
    const force = colours === 'wind' ? ` · ${t('force', { force: beaufort(value) })}` : ''
    return `${digits(value, 1)} ${shown_units}${force}`
  }

  /** The highest number at an hour and its cell; null where there is none. */
  highest(at: number): Highest | null {
    if (!this.found.has(at)) this.found.set(at, this.seek(at))
    return this.found.get(at)!
  }

  private seek(at: number): Highest | null {
    if (!this.field || this.kind.colours === 'hours') return null
    const { fill, scale } = this.field.packing
    let [found, cell] = [-Infinity, -1]
    const numbers = this.field.hour(at)
    for (let where = 0; where < numbers.length; where++) {
      if (numbers[where] !== fill && numbers[where] > found) {
        found = numbers[where]
        cell = where
      }
    }
    return cell < 0 ? null : { value: found * scale, cell }
  }
}
