// The state of the page in its address, so that a link shows the same, and a reload changes nothing.
const SEPARATOR = ",";

const number = (text) => (text === null || text === "" || !Number.isFinite(Number(text)) ? undefined : Number(text));

/** The state in the address: only what it names. */
export function read() {
  const fields = new URLSearchParams(location.hash.slice(1)), state = {};
  for (const key of ["tab", "text", "data", "activation", "initializer", "optimizer"])
    if (fields.has(key)) state[key] = fields.get(key);
  for (const key of ["rate", "seed"]) {
    const value = number(fields.get(key));
    if (value !== undefined) state[key] = value;
  }
  if (fields.has("hidden")) state.hidden = fields.get("hidden").split(SEPARATOR).map(Number);
  if (fields.has("points")) state.points = triples(fields.get("points").split(SEPARATOR).map(Number));
  const inputs = [...fields].filter(([key]) => key.startsWith("in."));
  if (inputs.length) state.inputs = Object.fromEntries(inputs.map(([key, value]) => [key.slice(3), Number(value)]));
  return state;
}

function triples(numbers) {
  const found = [];
  for (let i = 0; i + 2 < numbers.length; i += 3) found.push(numbers.slice(i, i + 3));
  return found;
}

/** Write the state into the address, without a new entry in the history. */
export function write(state) {
  const fields = new URLSearchParams();
  const { inputs = {}, ...rest } = state;
  for (const [key, value] of Object.entries(rest)) {
    if (Array.isArray(value) ? value.length : value !== undefined && value !== "")
      fields.set(key, Array.isArray(value) ? value.flat().join(SEPARATOR) : value);
  }
  for (const [name, value] of Object.entries(inputs)) fields.set(`in.${name}`, value);
  history.replaceState(null, "", `#${fields}`);
}
