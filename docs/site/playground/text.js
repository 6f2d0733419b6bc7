// Numbers as text, and small elements.

/** A number with about four digits. */
export function short(x) {
  if (!Number.isFinite(x)) return String(x).replace("Infinity", "inf").replace("NaN", "nan");
  const size = Math.abs(x);
  return size && (size >= 1e5 || size < 1e-3) ? x.toExponential(2) : Number(x.toPrecision(4)).toString();
}

/** A new element with properties and children. */
export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

/** The element with the id. */
export const at = (id) => document.getElementById(id);

/** A function that runs `act` once its calls have paused. */
export function settled(act, pause = 250) {
  let clock = 0;
  return () => { clearTimeout(clock); clock = setTimeout(act, pause); };
}
