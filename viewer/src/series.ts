/** What the members say of a place, hour by hour, whether it is a point or a zone; and the same as CSV. */

import type { Place } from './state'
import type { Run } from './session'
import { isoMinute, taiwan } from './time'
import { beaufort, ordered, quantile, windFrom } from './units'

/** Lists along hours; rain (mm), wind (m/s) and temperature (degrees Celsius) a list for each member. */
export interface Series {
  of: 'zone' | 'point'
  rain: number[][]
  wind: number[][]
  temperature: number[][]
  /** The direction that the wind blows from, degrees: of the members' mean vector. */
  from: number[]
}

/** Read the series of a place. */
export async function readSeries(run: Run, place: Place, middle: [number, number]): Promise<Series> {
  return 'zone' in place ? ofZone(run, place.zone, middle) : ofPoint(run, middle)
}

async function ofZone(run: Run, code: string, middle: [number, number]): Promise<Series> {
  const [{ series }, direction] = await Promise.all([
    run.published.place(run.entry, code),
    run.maps.field('wind_direction_mean'),
  ])
  const [j, i] = run.grid.cell(...middle) ?? [0, 0]
  return {
    of: 'zone',
    rain: series.tp01.highest,
    wind: series.wind_speed.highest,
    temperature: series.t2m.highest,
    from: run.hours.map((_, at) => direction.value(at, j * run.grid.nx + i)),
  }
}

async function ofPoint(run: Run, [longitude, latitude]: [number, number]): Promise<Series> {
  const cell = run.grid.cell(longitude, latitude)
  if (!cell) throw new RangeError('outside')
  const { tp01, u10m, v10m, t2m } = await (await run.openPoints()).at(...cell)
  const mean = (members: number[][], at: number) => members.reduce((sum, member) => sum + member[at], 0)
  return {
    of: 'point',
    rain: tp01,
    wind: u10m.map((member, m) => member.map((u, at) => Math.hypot(u, v10m[m][at]))),
    temperature: t2m,
    from: run.hours.map((_, at) => windFrom(mean(u10m, at), mean(v10m, at))),
  }
}

/** Quantiles of the members at every hour. */
export function quantiles(members: number[][], q: number): number[] {
  return members[0].map((_, at) => quantile(ordered(members.map((member) => member[at])), q))
}

/** How many members reach a threshold at an hour. */
export function reaching(members: number[][], at: number, threshold: number): number {
  return members.filter((member) => member[at] >= threshold).length
}

/** The member, hour and value of the highest value of all. */
export function peak(members: number[][]): { member: number; at: number; value: number } {
  let found = { member: 0, at: 0, value: -Infinity }
  members.forEach((values, member) =>
    values.forEach((value, at) => {
      if (value > found.value) found = { member, at, value }
    }),
  )
  return found
}

const COLUMNS = 'valid_time_utc,valid_time_taiwan,member,rain_mm,wind_speed_m_s,beaufort,temperature_c'

/** The series as a table for spreadsheets, first what it is. Columns as `exports/series.py` has them. */
export function csv(run: Run, series: Series, title: string): string {
  const { about, init } = run
  const heading = [
    ...(about.simulated ? ['SIMULATED 模擬資料，非真實天氣'] : []),
    title,
    series.of === 'zone' ? 'highest value in the zone 區內最高值' : 'nearest grid point 最近格點',
    `experiment ${about.experiment}`,
    `init_time ${isoMinute(init)} = ${taiwan(init)} Taiwan 臺灣時間`,
    `run ${run.entry.run}`,
    ...[about.institution, about.license, about.acknowledgement].filter((text) => text !== undefined),
  ]
  const rows = run.hours.flatMap((hour, at) =>
    series.rain.map((_, m) => {
      const [rain, wind, warm] = [series.rain[m][at], series.wind[m][at], series.temperature[m][at]]
      const numbers = [rain.toFixed(1), wind.toFixed(1), beaufort(wind), warm.toFixed(1)]
      return [isoMinute(hour), `${taiwanDate(hour)}`, m, ...numbers].join(',')
    }),
  )
  return `\ufeff# ${heading.join('; ')}\r\n${[COLUMNS, ...rows].join('\r\n')}\r\n`
}

function taiwanDate(at: number): string {
  return new Date(at + 8 * 3_600_000).toISOString().slice(0, 16).replace('T', ' ')
}
