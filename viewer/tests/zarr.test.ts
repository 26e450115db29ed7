/** What Python encoded is read back to half a step, and what is missing or cut off is an error. */

import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { Broken } from '../src/published'
import { Maps, Points } from '../src/zarr'
import fixture from './fixture.json'

const files: Record<string, string> = fixture.files
const INIT = Date.parse('2026-06-11T06:00:00Z')
let changed: Record<string, Uint8Array<ArrayBuffer> | null> = {}

beforeEach(() => {
  changed = {}
  vi.stubGlobal('fetch', async (url: string) => {
    const path = url.replace('http://here/', '')
    const bytes =
      path in changed
        ? changed[path]
        : path in files
          ? Uint8Array.from(atob(files[path]), (c) => c.charCodeAt(0))
          : null
    return bytes === null ? new Response(null, { status: 404 }) : new Response(bytes)
  })
})
afterEach(() => vi.unstubAllGlobals())

test.each(Object.entries(fixture.fields))('%s equals the products to half a step', async (name, values) => {
  const field = await (await Maps.open('http://here', INIT)).field(name)
  const read = Array.from({ length: field.leads }, (_, at) =>
    Array.from(field.hour(at), (_, cell) => field.value(at, cell)),
  ).flat()
  expect(read.length).toBe(values.length)
  values.forEach((value, n) => {
    if (value === null) expect(read[n]).toBeNaN()
    else expect(Math.abs(read[n] - value)).toBeLessThanOrEqual(field.packing.scale / 2 + 1e-4)
  })
})

test('some onsets are missing, so that missing numbers are tried', () => {
  expect(fixture.fields.tp01_onset_5).toContain(null)
})

test('every member at a point', async () => {
  const points = await Points.open('http://here', INIT)
  const [j, i] = fixture.place
  const read = await points.at(j, i)
  for (const name of ['tp01', 'u10m', 'v10m'] as const) {
    read[name]
      .flat()
      .forEach((value, n) => expect(Math.abs(value - fixture.members[name][n])).toBeLessThanOrEqual(0.05 + 1e-4))
  }
  expect(read.tp01.map((hours) => hours.length)).toEqual([3, 3, 3])
})

test('the group says which run it is, its hours and its kinds', async () => {
  const { about } = await Maps.open('http://here', INIT)
  expect(about.lead_hours).toEqual([1, 2, 3])
  expect(about.kinds.rain.steps[0]).toBe(0.1)
})

test('a chunk that is missing is broken, never a blank map', async () => {
  changed['maps/tp01_mean/c/0/0/0'] = null
  const maps = await Maps.open('http://here', INIT)
  await expect(maps.field('tp01_mean')).rejects.toThrow(Broken)
  await expect(maps.field('tp01_mean')).rejects.toThrow('tp01_mean')
})

test('so is one that is cut off, and one of another length', async () => {
  const whole = Uint8Array.from(atob(files['maps/tp01_mean/c/0/0/0']), (c) => c.charCodeAt(0))
  changed['maps/tp01_mean/c/0/0/0'] = whole.slice(0, whole.length - 20)
  changed['maps/t2m_mean/c/0/0/0'] = Uint8Array.from(atob(files['maps/tp01_probability_40/c/0/0/0']), (c) =>
    c.charCodeAt(0),
  )
  const maps = await Maps.open('http://here', INIT)
  await expect(maps.field('tp01_mean')).rejects.toThrow(Broken)
  await expect(maps.field('t2m_mean')).rejects.toThrow(Broken)
})

test('maps and points of another time are refused', async () => {
  await expect(Maps.open('http://here', INIT + 1)).rejects.toThrow('init_time 2026-06-11T06:00:00Z')
  await expect(Points.open('http://here', INIT + 1)).rejects.toThrow('init_time 2026-06-11T06:00:00Z')
})
