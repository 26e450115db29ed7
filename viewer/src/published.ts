/** What is published, read by HTTP: pointers, the board, places. See `stormcast_tw/products/board.py` for the board. */

export interface Words {
  zh: string
  en: string
}

/** The content of `latest.json`. */
export interface Entry {
  init_time: string
  run: string
  manifest: string
  status: 'complete' | 'degraded'
  valid_until?: string
  next_expected?: string
}

/** Which provider served an input; a status such as `missing (optional)`. See `stormcast_tw/inputs/input_set.py`. */
export interface InputRow {
  input: string
  'served by': string
  status: string
  age: string
  remark: string
}

export interface Manifest {
  written_at: string
  details: { inputs?: InputRow[] }
}

export interface Hazard {
  id: string
  kind: 'rain' | 'wind' | 'heat' | 'cold'
  quantity: string
  hours: number
  threshold: number
  unit: string
  class: Words
  criterion: Words
  rank: number
  judged: Words
  not_judged: Words | null
  leads: number[]
}

export interface Zone {
  code: string
  level: string
  parent: string | null
  zh: string
  en: string
  coarse: boolean
  partial: boolean
}

export interface Row {
  zone: Zone
  hazard: Hazard
  hits: number
  by_lead: Array<number | null>
  point_hits: number
  onset: [number, number] | null
  peak: [number, number, number, number]
  peak_lead: number
  peak_member: number
  share: number
  at_least: boolean
  reached_before: boolean
}

type Columns = { zone: number[]; hazard: number[] } & Record<string, unknown[]>

interface BoardFile {
  version: number
  run: string
  members: number
  lead_hours: number
  attribution: string
  hazards: Hazard[]
  zones: Zone[]
  outside: Zone[]
  rows: Columns
  nearest: Array<Omit<Row, 'zone' | 'hazard'> & { zone: string; hazard: string }>
}

/** The board: rows from the most severe class, the likeliest and earliest first, a county before its townships. */
export interface Board extends Omit<BoardFile, 'rows' | 'nearest'> {
  rows: Row[]
  nearest: Row[]
  byCode: Map<string, Zone>
}

/** One quantity in a zone: `highest` by member and hour; quantiles of the zone's median by hour. */
export interface ZoneSeries {
  unit: string
  highest: number[][]
  median: Record<string, number[]>
}

export interface PlaceFile {
  run: string
  series: Record<'tp01' | 'wind_speed' | 't2m', ZoneSeries>
}

/** A file that is not there, or not what it should be. */
export class Broken extends Error {
  constructor(
    readonly file: string,
    readonly reason: string,
  ) {
    super(`${file}: ${reason}`)
  }
}

/** Nothing answers. */
export class Unreachable extends Error {}

/** Fetch a file whole; raises Broken where the server refuses it and Unreachable where none answers. */
export async function fetchFile(url: string, fresh = false): Promise<Response> {
  let answer: Response
  try {
    answer = await fetch(url, fresh ? { cache: 'no-store' } : {})
  } catch {
    throw new Unreachable(url)
  }
  if (!answer.ok) throw new Broken(shortName(url), `HTTP ${answer.status}`)
  return answer
}

/** The last parts of an address, which say which file it is. */
export function shortName(url: string): string {
  return url.split('?')[0].split('/').slice(3).slice(-6).join('/')
}

/** Fetch JSON that has some keys; raises what `fetchFile` raises, and Broken for another content. */
export async function readJson<Content>(url: string, wanted: string[], fresh = false): Promise<Content> {
  const answer = await fetchFile(url, fresh)
  let content: Record<string, unknown>
  try {
    content = await answer.json()
  } catch {
    throw new Broken(shortName(url), 'no JSON')
  }
  const lacking = wanted.filter((key) => content?.[key] === undefined)
  if (lacking.length) throw new Broken(shortName(url), `no ${lacking.join(', ')}`)
  return content as Content
}

/** An experiment below a published root. */
export class Published {
  constructor(readonly folder: string) {}

  /** The run to read now. */
  latest(): Promise<Entry> {
    return readJson(`${this.folder}/latest.json`, ['init_time', 'run', 'manifest', 'status'], true)
  }

  /** The folder of a run. */
  of(entry: Entry): string {
    return `${this.folder}/${entry.manifest.split('/').slice(0, -1).join('/')}`
  }

  manifest(entry: Entry): Promise<Manifest> {
    return readJson(`${this.of(entry)}/manifest.json`, ['written_at', 'details'])
  }

  async board(entry: Entry): Promise<Board> {
    const file = `${this.of(entry)}/zones.json`
    const content = await readJson<BoardFile>(file, ['version', 'run', 'zones', 'hazards', 'rows'])
    if (content.version !== 1) throw new Broken(shortName(file), `version ${content.version}`)
    if (content.run !== entry.run) throw new Broken(shortName(file), `run ${content.run}`)
    return unpacked(content)
  }

  async place(entry: Entry, code: string): Promise<PlaceFile> {
    const file = `${this.of(entry)}/places/${code}.json`
    const content = await readJson<PlaceFile>(file, ['run', 'series'])
    if (content.run !== entry.run) throw new Broken(shortName(file), `run ${content.run}`)
    return content
  }
}

/** The board with a row an object, as it lies in columns in the file. */
export function unpacked(content: BoardFile): Board {
  const { zones, hazards, rows } = content
  const byCode = new Map([...zones, ...content.outside].map((zone) => [zone.code, zone]))
  const names = Object.keys(rows).filter((name) => name !== 'zone' && name !== 'hazard')
  const row = (n: number): Row => {
    const told = Object.fromEntries(names.map((name) => [name, rows[name][n]])) as unknown as Row
    const flags = { at_least: !!told.at_least, reached_before: !!told.reached_before }
    return { ...told, ...flags, zone: zones[rows.zone[n]], hazard: hazards[rows.hazard[n]] }
  }
  const near = content.nearest.flatMap((each) => {
    const [zone, hazard] = [byCode.get(each.zone), hazards.find(({ id }) => id === each.hazard)]
    return zone && hazard ? [{ ...each, zone, hazard }] : []
  })
  return { ...content, rows: rows.zone.map((_, n) => row(n)), nearest: near, byCode }
}
