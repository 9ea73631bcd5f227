/** Numbers by locale: four significant digits, powers of ten where a number is very large or very small. */

const DIGITS = 4;
const LARGE = 1e6;
const SMALL = 1e-4;
/** A share below this is only said to be below it. */
const LEAST_SHARE = 1e-5;
const RAISED = "⁰¹²³⁴⁵⁶⁷⁸⁹";
/** Shown for what is not known. */
export const NOTHING = "–";

const formats = new Map<string, Intl.NumberFormat>();

function format(locale: string, digits: number): Intl.NumberFormat {
  const key = `${locale} ${digits}`;
  const known = formats.get(key) ?? new Intl.NumberFormat(locale, { maximumSignificantDigits: digits });
  formats.set(key, known);
  return known;
}

function raised(exponent: number): string {
  const digits = [...String(Math.abs(exponent))].map((digit) => RAISED[Number(digit)]).join("");
  return `10${exponent < 0 ? "⁻" : ""}${digits}`;
}

export function figure(value: number | null | undefined, locale: string, digits = DIGITS): string {
  if (value === null || value === undefined || Number.isNaN(value)) return NOTHING;
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  const size = Math.abs(value);
  if (Number.isInteger(value) && size < LARGE) return format(locale, 7).format(value).replace("-", "−");
  if (size === 0 || (size >= SMALL && size < LARGE)) return format(locale, digits).format(value).replace("-", "−");
  const exponent = Math.floor(Math.log10(size));
  const mantissa = format(locale, digits)
    .format(value / 10 ** exponent)
    .replace("-", "−");
  return mantissa === "1" ? raised(exponent) : `${mantissa} × ${raised(exponent)}`;
}

export function percent(share: number, locale: string): string {
  const shown = new Intl.NumberFormat(locale, { style: "percent", maximumSignificantDigits: 3 });
  const size = Math.abs(share);
  return size > 0 && size < LEAST_SHARE ? `<${shown.format(LEAST_SHARE)}` : shown.format(share);
}
