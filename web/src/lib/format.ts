import type { Float } from "../api/types.gen";

/** Reads a number of the wire, where NaN and the infinities are texts. */
export function toNumber(value: Float): number {
  return typeof value === "number" ? value : Number(value);
}

const thin = "\u202f";

/** A number with five significant digits; whole numbers keep all of theirs. NaN and the infinities are words. */
export function formatNumber(value: number): string {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "Infinity" : "−Infinity";
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (Number.isInteger(value) && size < 1e7) return sign(String(value));
  if (size >= 1e7 || size < 1e-4) return sign(exponent(value));
  return sign(
    value.toPrecision(5).includes("e") ? String(Math.round(value)) : value.toPrecision(5),
  );
}

function exponent(value: number): string {
  return value.toExponential(4).replace("e+", "e").replace("e-", "e−");
}

const sign = (text: string) => text.replace(/^-/, "−");

/** How many digits stand behind the decimal point; scientific notation and words have none. */
export function decimals(text: string): number {
  if (!/^[−\d]/.test(text) || text.includes("e")) return 0;
  const point = text.indexOf(".");
  return point < 0 ? 0 : text.length - point - 1;
}

/** What must follow a number, unseen, so that its decimal point stands below the others of its column. */
export function alignmentPad(text: string, most: number): string {
  if (!/^[−\d]/.test(text) || text.includes("e") || most === 0) return "";
  const have = decimals(text);
  if (have === 0) return `.${"0".repeat(most)}`;
  return "0".repeat(Math.max(0, most - have));
}

const units: [number, string][] = [
  [1, "B"],
  [1024, "KB"],
  [1024 ** 2, "MB"],
  [1024 ** 3, "GB"],
  [1024 ** 4, "TB"],
];

export function formatBytes(bytes: number): string {
  const [size, name] = units.findLast(([least]) => bytes >= least) ?? [1, "B"];
  const value = bytes / size;
  return `${size === 1 || value >= 100 ? Math.round(value) : value.toPrecision(2)} ${name}`;
}

export function formatDuration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const s = ms / 1000;
  if (s < 60) return `${s < 10 ? s.toFixed(1) : Math.round(s)} s`;
  const min = Math.floor(s / 60);
  if (min < 60)
    return `${min} min ${String(Math.round(s % 60)).padStart(2, "0")} s`.replace(" 60 s", " 59 s");
  const h = Math.floor(min / 60);
  if (h < 48) return `${h} h ${String(min % 60).padStart(2, "0")} min`;
  return `${Math.floor(h / 24)} d ${h % 24} h`;
}

/** How long ago a moment was, in the one unit that says it best. */
export function formatAgo(then: number, now: number): string {
  const s = Math.max(0, (now - then) / 1000);
  if (s < 45) return "just now";
  if (s < 5400) return `${Math.max(1, Math.round(s / 60))} min ago`;
  if (s < 129600) return `${Math.round(s / 3600)} h ago`;
  if (s < 5184000) return `${Math.round(s / 86400)} days ago`;
  if (s < 47304000) return `${Math.round(s / 2592000)} months ago`;
  return `${Math.round(s / 31536000)} years ago`;
}

const pad = (n: number) => String(n).padStart(2, "0");

/** Local date and time in the order that sorts: 2026-11-23 08:15:04. */
export function formatTime(ms: number): string {
  const d = new Date(ms);
  const day = `${d.getFullYear()}-${pad(d.getMonth() + 1)}-${pad(d.getDate())}`;
  return `${day} ${pad(d.getHours())}:${pad(d.getMinutes())}:${pad(d.getSeconds())}`;
}

export function formatCount(n: number): string {
  return String(n).replace(/\B(?=(\d{3})+$)/g, thin);
}

export function plural(n: number, one: string, many = `${one}s`): string {
  return `${formatCount(n)} ${n === 1 ? one : many}`;
}
