/** The place that is pinned: what the members say of it, and what it is called. */

import type { Borders } from './borders'
import { said, t } from './i18n'
import { type Shown, spot } from './place'
import { fullName } from './search'
import { readSeries, type Series } from './series'
import type { Run } from './session'
import type { Place } from './state'

const NOWHERE: [number, number] = [NaN, NaN]

export class ChosenPlace {
  private read: { place: Place; run: Run; series: Series | null; note: string } | null = null

  constructor(
    private readonly choose: (place: Place) => void,
    private readonly told: () => void,
  ) {}

  /** Read the series of a place in a run; what was begun before is forgotten. */
  async load(place: Place | null, run: Run | null, borders: Borders | null): Promise<void> {
    if (!place || !run) return
    if (this.read?.run === run && samePlace(this.read.place, place)) return
    const begun = { place, run, series: null as Series | null, note: t('place.loading') }
    this.read = begun
    try {
      begun.series = await readSeries(run, place, middle(place, borders) ?? NOWHERE)
      begun.note = ''
    } catch (error) {
      const outside = error instanceof RangeError || isOutside(place, run)
      begun.note = outside ? t('place.outside') : t('place.broken', { what: (error as Error).message })
    }
    if (this.read === begun) this.told()
  }

  /** The place to show: the one that is pinned, else the first of the board. */
  static of(pinned: Place | null, run: Run | null): Place | null {
    const first = run?.board?.rows[0]
    return pinned ?? (first ? { zone: first.zone.code } : null)
  }

  /** What the panel shows of a place. */
  shown(place: Place | null, run: Run | null, borders: Borders | null): Shown | null {
    if (!place || !run) return null
    const mine = this.read?.run === run && samePlace(this.read.place, place) ? this.read : null
    const told = { series: mine?.series ?? null, note: mine?.note ?? '' }
    const { board } = run
    if ('zone' in place) {
      const zone = board?.byCode.get(place.zone)
      return { title: zone ? fullName(zone, board!) : place.zone, subtitle: t('place.highest'), other: null, ...told }
    }
    const code = borders?.at(place.pt[1], place.pt[0]) ?? null
    const zone = code === null ? undefined : board?.byCode.get(code)
    return {
      title: `${zone ? fullName(zone, board!) : t('place.sea')} ${spot(place.pt)}`,
      subtitle: t('place.nearest'),
      other: zone
        ? { label: t('place.whole', { zone: said(zone) }), go: () => this.choose({ zone: zone.code }) }
        : null,
      ...told,
    }
  }
}

function samePlace(a: Place, b: Place): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}

function middle(place: Place, borders: Borders | null): [number, number] | null {
  return 'pt' in place ? [place.pt[1], place.pt[0]] : (borders?.middle(place.zone) ?? null)
}

function isOutside(place: Place, run: Run): boolean {
  return 'zone' in place && !!run.board?.outside.some(({ code }) => code === place.zone)
}
