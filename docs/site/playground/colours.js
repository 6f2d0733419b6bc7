// The colours of numbers: orange above 0, blue below, pale near 0.
const PLUS = [230, 120, 30], MINUS = [0, 114, 178], PAPER = [255, 255, 255], NONE = [214, 180, 190];

/** A number between -1 and 1 as red, green and blue; numbers beyond have the full colour. */
export function mixed(x) {
  if (Number.isNaN(x)) return NONE;
  const share = Math.min(1, Math.abs(x)) * 0.8, colour = x > 0 ? PLUS : MINUS;
  return PAPER.map((paper, i) => Math.round(paper + share * (colour[i] - paper)));
}

/** The colour of dots on the plane, which is the same in the dark. */
export const dot = (x) => (x > 0 ? "#d55e00" : "#0072b2");

/** The colour of lines for the sign of a number, for styles. */
export const sign = (x) => (x > 0 ? "var(--plus)" : x < 0 ? "var(--minus)" : "var(--line)");
