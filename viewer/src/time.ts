/** Hours: Taiwan's clock for people, UTC beside it. Moments are milliseconds since 1970. */

export const HOUR = 3_600_000
export const MINUTE = 60_000
const TAIWAN = 8 * HOUR
const LATE_AFTER = HOUR
const STALE_AFTER = 6 * HOUR

/** A moment of an ISO 8601 text, NaN where it is none. */
export function moment(text: string | undefined): number {
  return text === undefined ? NaN : Date.parse(text)
}

function parts(at: number): { month: string; day: string; hour: string; minute: string; year: number; week: number } {
  const date = new Date(at)
  const two = (n: number) => String(n).padStart(2, '0')
  return {
    year: date.getUTCFullYear(),
    month: two(date.getUTCMonth() + 1),
    day: two(date.getUTCDate()),
    hour: two(date.getUTCHours()),
    minute: two(date.getUTCMinutes()),
    week: date.getUTCDay(),
  }
}

/** `08-12 14:00` by Taiwan's clock. */
export function taiwan(at: number): string {
  const { month, day, hour, minute } = parts(at + TAIWAN)
  return `${month}-${day} ${hour}:${minute}`
}

/** `14` by Taiwan's clock. */
export function taiwanHour(at: number): string {
  return parts(at + TAIWAN).hour
}

/** `14:30` by Taiwan's clock. */
export function taiwanClock(at: number): string {
  const { hour, minute } = parts(at + TAIWAN)
  return `${hour}:${minute}`
}

/** `06Z`, or `06:30Z` off the hour. */
export function utc(at: number): string {
  const { hour, minute } = parts(at)
  return minute === '00' ? `${hour}Z` : `${hour}:${minute}Z`
}

/** Day of the week by Taiwan's clock, 0 is Sunday. */
export function taiwanDay(at: number): number {
  return parts(at + TAIWAN).week
}

/** `2026-08-12T15`: a valid time in the URL, by Taiwan's clock. */
export function toUrlHour(at: number): string {
  const { year, month, day, hour } = parts(at + TAIWAN)
  return `${year}-${month}-${day}T${hour}`
}

/** The moment of `2026-08-12T15` by Taiwan's clock, null where it is none. */
export function fromUrlHour(text: string): number | null {
  if (!/^\d{4}-\d\d-\d\dT\d\d$/.test(text)) return null
  const at = Date.parse(`${text}:00:00Z`) - TAIWAN
  return Number.isNaN(at) ? null : at
}

/** `2026-08-12T06:30Z`, to the minute. */
export function isoMinute(at: number): string {
  return `${new Date(at).toISOString().slice(0, 16)}Z`
}

/** `20260812T06Z`: the name of a cycle. */
export function cycleName(at: number): string {
  return `${new Date(at).toISOString().slice(0, 13).replaceAll('-', '')}Z`
}

export type Freshness = 'fresh' | 'late' | 'stale'

/** How current a run is: late an hour after the next was due, stale six hours after it, or after its own last hour. */
export function freshness(now: number, nextExpected: number, validUntil: number): Freshness {
  if (now > nextExpected + STALE_AFTER || now > validUntil) return 'stale'
  return now > nextExpected + LATE_AFTER ? 'late' : 'fresh'
}

/** An age in the largest unit that makes it 2 or more: [3, 'hours']. */
export function age(span: number): [number, 'minutes' | 'hours' | 'days'] {
  const minutes = Math.max(0, Math.floor(span / MINUTE))
  if (minutes < 120) return [minutes, 'minutes']
  const hours = Math.floor(minutes / 60)
  return hours < 48 ? [hours, 'hours'] : [Math.floor(hours / 24), 'days']
}
