// The present event as MathML: the formula in names, and below it in numbers.

const MATHML = "http://www.w3.org/1998/Math/MathML";
function element(tag, ...children) {
  const made = document.createElementNS(MATHML, tag);
  made.append(...children);
  return made;
}
const group = (...parts) => element("mrow", ...parts);
const sign = (text) => element("mo", text);
const brackets = (inside) => group(sign("("), inside, sign(")"));

function numeral(x) {
  const [mantissa, exponent] = format(Math.abs(x)).split("e");
  const size = [element(Number.isFinite(x) ? "mn" : "mi", mantissa === "inf" ? "\u221e" : mantissa)];
  if (exponent !== undefined) {
    const power = group(...(exponent.startsWith("-") ? [sign("\u2212")] : []), element("mn", exponent.replace(/[-+]/, "")));
    size.push(sign("\u22c5"), element("msup", element("mn", "10"), power));
  }
  return format(x).startsWith("-") ? group(sign("\u2212"), ...size) : group(...size);
}

// As in Python's printer: one letter with an index, or a longer name upright.
function symbol(name) {
  const [, letter, digits, index] = name.match(/^(\p{L})(?:_?(\d+)|_([a-z]))?$/u) ?? [];
  if (letter === undefined) {
    const upright = element("mi", name);
    upright.setAttribute("mathvariant", "normal");
    return upright;
  }
  const slanted = element("mi", letter), below = digits ? element("mn", digits) : index && element("mi", index);
  return below ? element("msub", slanted, below) : slanted;
}

const slope = (name) => element("mfrac", group(sign("\u2202"), element("mi", "L")), group(sign("\u2202"), symbol(name)));

// Whether brackets around a name would be a second pair, or stand in an exponent or a fraction.
function enclosed(name) {
  const around = name.parentNode, above = around.parentNode;
  if (name.previousSibling?.textContent === "(" && name.nextSibling?.textContent === ")") return true;
  return around.children.length === 1 && (above?.localName === "mfrac" || (above?.localName === "msup" && above.lastChild === around));
}

// A formula with the parts for its names x, y and z.
function filledIn(math, parts) {
  const formula = group();
  formula.innerHTML = math;
  for (const name of formula.querySelectorAll("mi")) {
    const part = parts[name.textContent];
    if (part) name.replaceWith(part.negative && !enclosed(name) ? brackets(part.draw()) : part.draw());
  }
  for (const space of formula.querySelectorAll("mspace")) {  // 2 3 would be read as 23
    let first = space.nextSibling;
    while (first?.firstElementChild) first = first.firstElementChild;
    if (first?.localName === "mn") space.replaceWith(sign("\u22c5"));
  }
  return formula;
}

function drawnParts(i) {
  const node = nodes[i], [x, y] = operands(i);
  const number = (value) => ({ draw: () => numeral(value), negative: format(value).startsWith("-") });
  const name = (p, value) => (p == null ? number(value) : { draw: () => symbol(nodes[p].name) });
  return [
    { x: name(node.a, x), y: name(node.b, y), z: { draw: () => symbol(node.name) } },
    { x: number(x), y: number(y), z: number(data[i]) },
  ];
}

// The parts of both lines.
function equations(event) {
  const node = nodes[event.node], value = () => numeral(data[event.node]);
  if (event.kind === "seed") return [[slope(node.name), sign("="), element("mn", "1")]];
  if (!node.op) return [[symbol(node.name), sign("="), value()]];
  const formulas = graph.formulas[node.formula], [names, numbers] = node.taught ? [] : drawnParts(event.node);
  if (event.kind === "forward") {
    if (node.taught) {
      const [first, ...meanings] = node.typeset.map((math) => filledIn(math, {}));
      const comma = (math) => [element("mtext", ",\u2003"), math];
      return [[symbol(node.name), sign("="), first, ...meanings.flatMap(comma)], [sign("="), value()]];
    }
    const [, , math] = formulas[0];
    return [[symbol(node.name), sign("="), filledIn(math, names)], [sign("="), filledIn(math, numbers), sign("="), value()]];
  }
  const factor = (parts) => {
    const [, bare, math] = formulas[1 + event.operand], formula = filledIn(math, parts);
    return bare || /^(mfrac|msup)$/.test(formula.firstChild.localName) ? formula : brackets(formula);
  };
  const bracketed = (x) => (format(x).startsWith("-") ? brackets(numeral(x)) : numeral(x));
  const target = nodes[event.target].name, times = () => sign("\u22c5");
  const local = node.taught
    ? [element("mfrac", group(sign("\u2202"), symbol(node.name)), group(sign("\u2202"), symbol(target))), bracketed(event.local)]
    : [factor(names), factor(numbers)];
  const total = event.arrived > 1 ? [element("mtext", ",\u2003total "), numeral(event.grad)] : [];
  return [
    [slope(target), sign("+="), slope(node.name), times(), local[0]],
    [sign("="), bracketed(event.upstream), times(), local[1], sign("="), numeral(event.contribution), ...total],
  ];
}

function typeset(event) {
  const box = $("typeset");
  box.replaceChildren(...equations(event).map((parts) => {
    const math = element("math", ...parts);
    math.setAttribute("displaystyle", "true");
    const line = document.createElement("div");
    line.append(math);
    return line;
  }));
  fit();
}

// A formula that is too wide gets smaller letters, down to 60 %.
function fit() {
  const box = $("typeset"), room = box.clientWidth - 24;
  box.style.fontSize = "";
  const width = Math.max(...[...box.querySelectorAll("math")].map((math) => math.getBoundingClientRect().width));
  if (room > 0 && width > room) box.style.fontSize = `${Math.max(0.6, room / width) * parseFloat(getComputedStyle(box).fontSize)}px`;
}

// A page in a frame gets its size after its first event, and another one when the frame changes.
new ResizeObserver(() => { fit(); lines(); }).observe($("typeset"));
new ResizeObserver(() => lines()).observe($("events"));
