/** What a map can show: quantities, statistics and thresholds, and the names that they have in the published maps. */

import type { Board, Hazard } from './published'

/** A quantity in the URL (`f`): the beginning of the names of its maps, and of the ids of its criteria. */
interface Quantity {
  maps: string
  criteria: string
}

export const QUANTITIES: Record<string, Quantity> = {
  tp01: { maps: 'tp01', criteria: 'tp01' },
  tp03: { maps: 'tp03_projected', criteria: 'tp03' },
  tp06: { maps: 'tp06_projected', criteria: 'tp06' },
  tp12: { maps: 'tp12_projected', criteria: 'tp12' },
  tp24: { maps: 'tp24_projected', criteria: 'tp24' },
  wind: { maps: 'wind_speed', criteria: 'wind_speed' },
  t2m: { maps: 't2m', criteria: '' },
  heat: { maps: 't2m_heat_lowland', criteria: 't2m_heat' },
  cold: { maps: 't2m_cold_lowland', criteria: 't2m_cold' },
}

/** A statistic in the URL (`s`): the rest of the name of its map, or null for chances by zone, which are no map. */
export const STATISTICS: Record<string, { map: string | null; threshold: boolean }> = {
  lpmm: { map: 'lpmm', threshold: false },
  pmm: { map: 'pmm', threshold: false },
  mean: { map: 'mean', threshold: false },
  p10: { map: 'quantile_p10', threshold: false },
  p50: { map: 'quantile_p50', threshold: false },
  p90: { map: 'quantile_p90', threshold: false },
  max50: { map: 'highest_quantile_p50', threshold: false },
  max90: { map: 'highest_quantile_p90', threshold: false },
  zever: { map: null, threshold: true },
  zprob: { map: null, threshold: true },
  ever: { map: 'reached_probability', threshold: true },
  nprob: { map: 'neighbourhood_probability', threshold: true },
  prob: { map: 'probability', threshold: true },
  onset: { map: 'onset', threshold: true },
}

/** What is shown: a quantity, a statistic and, where it has one, a threshold (mm, Beaufort or degrees Celsius). */
export interface Choice {
  f: string
  s: string
  thr: number | null
}

/** The layers that have a key of their own, 1 to 9. */
export const LAYERS: Array<Choice & { name: string }> = [
  { name: 'rain', f: 'tp01', s: 'lpmm', thr: null },
  { name: 'rain24', f: 'tp24', s: 'lpmm', thr: null },
  { name: 'zone', f: 'tp01', s: 'zever', thr: 40 },
  { name: 'nearby', f: 'tp01', s: 'nprob', thr: 40 },
  { name: 'point', f: 'tp01', s: 'prob', thr: 40 },
  { name: 'onset', f: 'tp01', s: 'onset', thr: 10 },
  { name: 'wind', f: 'wind', s: 'mean', thr: null },
  { name: 'temperature', f: 't2m', s: 'mean', thr: null },
  { name: 'highest', f: 'tp01', s: 'max90', thr: null },
]

/** The name of the map of a choice, null where it is drawn from the board. */
export function mapName({ f, s, thr }: Choice): string | null {
  const { map, threshold } = STATISTICS[s]
  if (map === null) return null
  return `${QUANTITIES[f].maps}_${map}${threshold ? `_${thr}` : ''}`
}

/** The criterion of a choice by zone. */
export function criterion({ f, thr }: Choice, board: Board): Hazard | undefined {
  return board.hazards.find(({ id }) => id === `${QUANTITIES[f].criteria}_${thr}`)
}

/** The choice that shows the chance by zone of a criterion. */
export function choiceOf(hazard: Hazard): Choice {
  const at = hazard.id.lastIndexOf('_')
  const f = Object.keys(QUANTITIES).find((name) => QUANTITIES[name].criteria === hazard.id.slice(0, at)) ?? 'tp01'
  return { f, s: 'zever', thr: Number(hazard.id.slice(at + 1)) }
}

/** The thresholds that a quantity has for a statistic, none for one without. */
export function thresholds(f: string, s: string, names: ReadonlySet<string>, board: Board | null): number[] {
  const { map, threshold } = STATISTICS[s]
  if (!threshold) return []
  const { maps, criteria } = QUANTITIES[f]
  const [start, among] =
    map === null ? [`${criteria}_`, (board?.hazards ?? []).map(({ id }) => id)] : [`${maps}_${map}_`, [...names]]
  const ends = among.filter((name) => name.startsWith(start)).map((name) => name.slice(start.length))
  return ends
    .filter((end) => /^[\d.]+$/.test(end))
    .map(Number)
    .sort((a, b) => a - b)
}

/** The statistics that a quantity has. */
export function statistics(f: string, names: ReadonlySet<string>, board: Board | null): string[] {
  return Object.keys(STATISTICS).filter((s) =>
    STATISTICS[s].threshold ? thresholds(f, s, names, board).length > 0 : names.has(mapName({ f, s, thr: null })!),
  )
}

/** The nearest choice that there is: the same statistic, else the first; the same threshold, else the highest below. */
export function fitting(choice: Choice, names: ReadonlySet<string>, board: Board | null): Choice {
  const f = QUANTITIES[choice.f] ? choice.f : 'tp01'
  const there = statistics(f, names, board)
  const s = there.includes(choice.s) ? choice.s : (there[0] ?? 'mean')
  const edges = thresholds(f, s, names, board)
  if (!edges.length) return { f, s, thr: null }
  const below = edges.filter((edge) => edge <= (choice.thr ?? edges[0]))
  return { f, s, thr: below.at(-1) ?? edges[0] }
}
