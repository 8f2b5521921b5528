// Numbers, money, times and identifiers as people read them.

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

// the sentences are English, so numbers and dates are too; which English is the viewer's choice
const LOCALE = navigator.languages.find((language) => language.startsWith("en")) ?? "en-GB";

const numbers = (options) => {
  const format = new Intl.NumberFormat(LOCALE, options);
  return (value) => (value === null || value === undefined ? "–" : format.format(value));
};
const dates = (options) => {
  const format = new Intl.DateTimeFormat(LOCALE, options);
  return (ms) => format.format(ms);
};

export const count = numbers({ maximumFractionDigits: 0 });
export const share = numbers({ style: "percent", maximumFractionDigits: 1 });
export const fraction = numbers({ minimumFractionDigits: 3, maximumFractionDigits: 3 });
export const exact = numbers({ maximumFractionDigits: 3 });
/** To four digits; what is tiny by its power of ten. */
export const number = (value) => (value !== null && value !== 0 && Math.abs(value) < TINY ? scientific(value) : rounded(value));
const TINY = 1e-4;
const rounded = numbers({ maximumSignificantDigits: 4 });
const scientific = numbers({ notation: "scientific", maximumSignificantDigits: 2 });

const CLOCK = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
export const dateTime = dates({ dateStyle: "full", timeStyle: "medium", hourCycle: "h23" });
export const shortDateTime = dates({ weekday: "short", day: "numeric", month: "short", ...CLOCK });
export const clock = dates(CLOCK);
export const clockSeconds = dates({ ...CLOCK, second: "2-digit" });
export const weekdayClock = dates({ weekday: "short", ...CLOCK });
/** Days of the engine begin at midnight UTC, wherever the viewer is. */
export const utcDay = dates({ dateStyle: "medium", timeZone: "UTC" });
export const utcDayMonth = dates({ day: "numeric", month: "short", timeZone: "UTC" });

/** How many minor units one of the currency has, as a power of ten. */
function digitsOf(currency) {
  return new Intl.NumberFormat(LOCALE, { style: "currency", currency }).resolvedOptions().maximumFractionDigits;
}

export function money(minor, currency, options = {}) {
  if (minor === null || minor === undefined || !currency) return "–";
  const major = minor / 10 ** digitsOf(currency);
  return new Intl.NumberFormat(LOCALE, { style: "currency", currency, ...options }).format(major);
}

export function shortMoney(minor, currency) {
  return money(minor, currency, { notation: "compact", minimumFractionDigits: 0, maximumFractionDigits: 1 });
}

/** Amounts by currency, the largest number first: currencies are not added up. */
export function moneys(byCurrency) {
  const parts = Object.entries(byCurrency ?? {}).sort(([, a], [, b]) => b - a);
  return parts.length ? parts.map(([currency, minor]) => money(minor, currency)).join(" + ") : "–";
}

/** A time span in its two largest units. */
export function duration(ms) {
  if (ms === null || ms === undefined) return "–";
  const units = [["d", DAY], ["h", HOUR], ["min", MINUTE], ["s", 1_000]];
  const first = units.findIndex(([, size]) => ms >= size);
  if (first < 0) return `${Math.round(ms)} ms`;
  let rest = ms;
  const parts = units.slice(first, first + 2).map(([name, size]) => {
    const whole = Math.floor(rest / size);
    rest -= whole * size;
    return whole ? `${whole} ${name}` : null;
  });
  return parts.filter(Boolean).join(" ");
}

/** `step_up` as "step up". */
export const words = (name) => String(name).replaceAll("_", " ");
export const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/** "1 decision", "2 decisions". */
export const counted = (value, noun) => `${count(value)} ${noun}${value === 1 ? "" : "s"}`;

/** The beginning of a pseudonym or hash: enough to see that two are the same. */
export function shortId(id) {
  const [, hash] = /^(?:[A-Za-z0-9]{1,8}\.)?([0-9a-f]{16,})$/.exec(id) ?? [];
  return `${hash ? hash.slice(0, 6) : tag(id)}…`;
}

/** A text in which pseudonyms are shortened. */
export const withShortIds = (text) => text.replace(/\b[A-Za-z0-9]{1,8}\.[0-9a-f]{16,}\b/g, (id) => shortId(id));

// these are places of the shop, not people or what is theirs
const PLACES = new Set(["store", "terminal"]);

/** The id of an entity, in short unless it is a place. */
export const shownId = (kind, id) => (PLACES.has(kind) ? id : shortId(id));

/** A text about an alert without the whole id of the entity that it is about, and without pseudonyms. */
export function withoutIds({ kind, subject }, text) {
  const place = kind === "fraud_pattern" ? subject.indexOf(" ") : -1;
  const [of, id] = [subject.slice(0, place), subject.slice(place + 1)];
  return withShortIds(place > 0 && id ? text.replaceAll(id, shownId(of, id)) : text);
}

/** Of an id that is no pseudonym (a visitor's, a device's): a tag that is the same for the same id and does not show it (FNV-1a). */
function tag(id) {
  let hash = 0x811c9dc5;
  for (const character of id) hash = Math.imul(hash ^ character.codePointAt(0), 0x01000193) >>> 0;
  return hash.toString(16).padStart(8, "0").slice(0, 6);
}
