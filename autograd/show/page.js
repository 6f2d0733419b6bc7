// The player of a saved page: it computes both passes from the graph and shows them event by event.

const graph = JSON.parse(document.getElementById("data").textContent);
const nodes = graph.nodes;
const $ = (id) => document.getElementById(id);

// erf by its series up to 3, erfc by its continued fraction beyond: accurate to 1e-15 of the result.
function erf(x) {
  if (Math.abs(x) >= 3) return x > 0 ? 1 - erfc(x) : erfc(-x) - 1;
  let term = x, total = x;
  for (let k = 1; Math.abs(term) > 1e-18 * Math.abs(total) && k < 200; k++) {
    term *= (2 * x * x) / (2 * k + 1);
    total += term;
  }
  return total * (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x);
}
function erfc(x) {
  if (x !== x) return NaN;
  if (x < 0.5) return 1 - erf(x);
  if (x > 27.3) return 0;
  let f = 0;
  for (let k = x < 2 ? 400 : 100; k > 0; k--) f = k / 2 / (x + f);
  return Math.exp(-x * x) / (Math.sqrt(Math.PI) * (x + f));
}
function fmod(x, y) {
  return x % y;
}

// ---------------------------------------------------------------- the two passes

let data = nodes.map((node) => Number(node.data));
let events = [];
let largest = 0; // of all gradients; colours are relative to it

// A node has its plain operands as numbers.  It also has the recorded number of a leaf whose value
// has changed since, which counts until the graph is computed again.
let recorded = true;
function operands(i) {
  const node = nodes[i];
  const operand = (p, number) =>
    p == null || (recorded && number !== undefined) ? Number(number) : data[p];
  return [operand(node.a, node.x),
    node.b == null && node.y === undefined ? undefined : operand(node.b, node.y)];
}

function forward() {
  recorded = false;
  nodes.forEach((node, i) => {
    if (node.op) data[i] = rows[node.op].z(...operands(i));
  });
}

// Like the engine: in its order, and a gradient of 0 is not passed on.
function compute() {
  events = nodes.map((_, i) => ({ kind: "forward", node: i }));
  const grad = nodes.map(() => 0);
  largest = 0;
  grad[graph.root] = data[graph.root] === data[graph.root] ? 1 : NaN;
  events.push({ kind: "seed", node: graph.root, target: graph.root, grad: grad[graph.root] });
  const arrived = nodes.map(() => 0);
  for (const i of graph.order) {
    const g = grad[i], [x, y] = operands(i), row = rows[nodes[i].op];
    if (!g && g === g) continue;
    [nodes[i].a, nodes[i].b].forEach((target, k) => {
      if (target == null) return;
      const local = (k ? row.dy : row.dx)(x, y, data[i]);
      const contribution = g * local, before = arrived[target] ? grad[target] : undefined;
      grad[target] += contribution;
      arrived[target] += 1;
      events.push({ kind: "backward", node: i, operand: k, target, upstream: g, local,
        contribution, before, grad: grad[target], arrived: arrived[target] });
    });
  }
  for (const { grad: g } of events) if (Number.isFinite(g)) largest = Math.max(largest, Math.abs(g));
  return grad;
}

// ---------------------------------------------------------------- text

function format(x) {
  if (!Number.isFinite(x)) return x !== x ? "nan" : x > 0 ? "inf" : "-inf";
  const text = Number(x.toPrecision(4));
  return Math.abs(text) >= 1e5 || (text && Math.abs(text) < 1e-4)
    ? text.toExponential().replace("e+", "e") : String(text);
}
const bracketed = (x) => (format(x).startsWith("-") ? `(${format(x)})` : format(x));
// tanh((-1.5)) has one pair of brackets too many.
const substituted = (text, parts) =>
  text.replace(/\b[xyz]\b/g, (name) => parts[name]).replace(/\((\(-[\d.e+-]+\))\)/g, "$1");

function parts(i) {
  const node = nodes[i], [x, y] = operands(i);
  const name = (p, number) => (p == null ? bracketed(number) : nodes[p].name);
  return [
    { x: name(node.a, x), y: name(node.b, y), z: node.name },
    { x: bracketed(x), y: bracketed(y), z: bracketed(data[i]) },
  ];
}

// The event in names, and in numbers.
function described(event) {
  const node = nodes[event.node];
  if (event.kind === "seed") return [`dL/d${node.name} = 1`, ""];
  if (!node.op) return [node.name, format(data[event.node])];
  const [names, numbers] = parts(event.node), texts = graph.texts[node.op];
  if (event.kind === "forward") {
    return [`${node.name} = ${substituted(texts[0], names)}`,
      `${substituted(texts[0], numbers)} = ${format(data[event.node])}`];
  }
  const text = texts[1 + event.operand];
  const factor = /^[\w.]+(\(.*\))?$/.test(text) && !/^\w+\(.*\).*\(/.test(text) ? (t) => t : (t) => `(${t})`;
  const total = event.arrived > 1 ? `, total ${format(event.grad)}` : "";
  return [`dL/d${nodes[event.target].name} += dL/d${node.name} * ${factor(substituted(text, names))}`,
    `${bracketed(event.upstream)} * ${factor(substituted(text, numbers))} = ${format(event.contribution)}${total}`];
}
const line = (event) => described(event).filter(Boolean).join(" = ");

// ---------------------------------------------------------------- the screen
//
// A step updates only what its events change, so it takes as long in a graph of a hundred thousand
// nodes as in one of ten.

let place = 0, timer = null, quizzing = false, host = null; // place: the index of the present event

// A box is a node, or all nodes of a collapsed scope; `reached` counts the nodes with a gradient.
const boxOf = nodes.map((node) => (node.box ? $(node.box) : null));
const boxes = new Map();
boxOf.forEach((box, i) => {
  if (!box) return;
  if (!boxes.has(box)) {
    boxes.set(box, { members: [], reached: 0, title: box.querySelector("title"),
      shape: box.querySelector("path, polygon"), texts: [...box.querySelectorAll("text")] });
  }
  boxes.get(box).members.push(i);
});
const users = nodes.map(() => []);
nodes.forEach((node, i) => [node.a, node.b].forEach((p) => p != null && !users[p].includes(i) && users[p].push(i)));

let grads = []; // the nodes' gradients so far
const signed = (x) => format(x).replace(/^-/, "\u2212");

function write(element, text) {
  if (element && element.textContent !== text) element.textContent = text;
}

function colour(grad) {
  const { plus, minus, none, bad } = graph.colours;
  if (grad === undefined || grad === 0) return none;
  if (!Number.isFinite(grad)) return bad;
  const step = Math.max(0, 3 - Math.floor(Math.log10(Math.max(largest / Math.abs(grad), 1))));
  return (grad > 0 ? plus : minus)[step];
}

function redraw(box) {
  const { members, reached, shape, texts } = boxes.get(box);
  const [value, grad] = texts.slice(-2);
  if (members.length > 1) {
    // The lines are scope, operations, leaves, and if there is a fourth, the gradients so far.
    if (texts.length > 3) write(grad, reached ? `grads ${reached} of ${members.length}` : "");
    return;
  }
  const [i] = members;
  write(value, `value ${i <= place ? signed(data[i]) : "?"}`);
  write(grad, grads[i] === undefined ? "" : `grad ${signed(grads[i])}`);
  if (shape) shape.setAttribute("fill", colour(grads[i]));
}

function received(i, grad) {
  const box = boxes.get(boxOf[i]);
  if (box) box.reached += (grad !== undefined) - (grads[i] !== undefined);
  grads[i] = grad;
}

// From the present event to another, through all events between them.
function walk(to) {
  const touched = new Set();
  const touch = (i) => boxOf[i] && touched.add(boxOf[i]);
  for (let k = place + 1; k <= to; k++) {
    const e = events[k];
    if (e.kind !== "forward") received(e.target, e.grad);
    touch(e.target ?? e.node);
  }
  for (let k = place; k > to; k--) {
    const e = events[k];
    if (e.kind !== "forward") received(e.target, e.before);
    touch(e.target ?? e.node);
  }
  place = to;
  touched.forEach(redraw);
}

let marked = [];
function mark(event) {
  marked.forEach((box) => box.classList.remove("here", "to"));
  const here = boxOf[event.node], to = event.kind === "backward" ? boxOf[event.target] : null;
  if (here) here.classList.add("here");
  if (to) to.classList.add("to");
  marked = [here, to].filter(Boolean);
  if (marked.length) bringIntoView(to || here);
}

function refresh() {
  const event = events[place];
  write($("place"), `event ${place + 1} of ${events.length}`);
  $("slider").value = place;
  const [names, numbers] = described(event);
  write($("formula"), numbers ? `${names}\n= ${numbers}` : names);
  mark(event);
  around(event);
  const list = $("events");
  list.scrollTop = (place + 0.5) * ROW - list.clientHeight / 2;
  lines();
  if (quizzing) ask();
}

// Scrolls the picture, not the page, and only if the box is not in view.
function bringIntoView(box) {
  const frame = $("picture"), inner = box.getBoundingClientRect(), outer = frame.getBoundingClientRect();
  if (inner.left < outer.left || inner.right > outer.right) {
    frame.scrollLeft += inner.left + inner.width / 2 - outer.left - outer.width / 2;
  }
  if (inner.top < outer.top || inner.bottom > outer.bottom) {
    frame.scrollTop += inner.top + inner.height / 2 - outer.top - outer.height / 2;
  }
}

function go(to, tell = true) {
  walk(Math.max(0, Math.min(to, events.length - 1)));
  refresh();
  if (host && tell) host.postMessage({ step: place }, "*");
}

// To a node's event in the present pass: its value forward, its first contribution backward.
function visit(inside) {
  const kind = events[place].kind === "forward" ? "forward" : "backward";
  const of = (kind) => events.findIndex((e) => e.kind === kind && inside.includes(e.node));
  const received = () => events.findIndex((e) => e.kind !== "forward" && inside.includes(e.target));
  go([of(kind), received(), of("forward")].find((i) => i >= 0));
}

// The document contains only the lines in view.
const ROW = 22; // pixels
function lines() {
  const list = $("events");
  const first = Math.max(0, Math.floor(list.scrollTop / ROW) - 3);
  const last = Math.min(events.length, first + Math.ceil(list.clientHeight / ROW) + 6);
  const items = [];
  for (let i = first; i < last; i++) {
    const item = document.createElement("li");
    const unknown = quizzing && i > place && events[i].kind === "backward";
    item.textContent = unknown ? `${described(events[i])[0]} = ?` : line(events[i]);
    item.style.top = `${i * ROW}px`;
    item.dataset.event = i;
    if (i === place) item.className = "here";
    items.push(item);
  }
  $("lines").replaceChildren(...items);
}

// If the picture does not show every node: the present node between its operands and its users.
const complete = nodes.every((_, i) => boxOf[i] && boxes.get(boxOf[i]).members.length === 1);
const MOST_CARDS = 8;
function around(event) {
  if (complete) return;
  const card = (i) => {
    const button = document.createElement("button");
    const grad = grads[i] === undefined ? "" : `, grad ${signed(grads[i])}`;
    button.textContent = `${nodes[i].name}\nvalue ${i <= place ? signed(data[i]) : "?"}${grad}`;
    button.style.background = colour(grads[i]);
    button.dataset.node = i;
    return button;
  };
  const cards = (indices) => {
    const more = document.createElement("span"), count = indices.length;
    more.textContent = count > MOST_CARDS ? `and ${count - MOST_CARDS} more` : count ? "" : "none";
    return [...indices.slice(0, MOST_CARDS).map(card), more];
  };
  const { a, b } = nodes[event.node];
  $("operands").replaceChildren(...cards([...new Set([a, b])].filter((p) => p != null)));
  $("node").replaceChildren(card(event.node));
  $("users").replaceChildren(...cards(users[event.node]));
}

function play(on) {
  clearInterval(timer);
  timer = on ? setInterval(() => (place + 1 < events.length ? go(place + 1) : play(false)), Number($("speed").value)) : null;
  $("play").setAttribute("aria-pressed", String(on));
  write($("play"), on ? "pause" : "play");
}

// ---------------------------------------------------------------- the quiz

function ask() {
  const next = events[place + 1];
  const backward = next && next.kind === "backward";
  $("question").hidden = !backward;
  if (!backward) return;
  $("ask").textContent = `After the next event, what is dL/d${nodes[next.target].name}?`;
  $("answer").value = "";
  $("told").textContent = "";
}

function judge(text) {
  const next = events[place + 1], answer = Number(text), upstream = `dL/d${nodes[next.node].name}`;
  const near = (x) => Math.abs(answer - x) <= 0.01 * Math.abs(x) + 1e-12;
  if (text.trim() === "" || answer !== answer) return "Please enter a number.";
  if (near(next.grad)) return `Right: ${line(next)}.`;
  if (near(-next.grad)) return "The size is right; check the sign.";
  if (next.arrived > 1 && near(next.contribution)) return "That is the new contribution; add it to the sum so far.";
  if (near(next.local)) return `That is the local derivative; multiply it by ${upstream}.`;
  if (near(next.upstream)) return `That is ${upstream}; multiply it by the local derivative.`;
  return `Not yet: ${described(next)[0]}, with ${upstream} = ${format(next.upstream)}.`;
}

// ---------------------------------------------------------------- what if

const MOST_GRADS = 12, MOST_INPUTS = 60;
const leaves = nodes.map((node, i) => (node.op ? -1 : i)).filter((i) => i >= 0);

function outcome(grad) {
  const more = leaves.length > MOST_GRADS ? `, and ${leaves.length - MOST_GRADS} more` : "";
  write($("outcome"), `${nodes[graph.root].name} = ${format(data[graph.root])}; `
    + leaves.slice(0, MOST_GRADS).map((i) => `dL/d${nodes[i].name} = ${format(grad[i])}`).join(", ") + more);
}

// Computes both passes again and redraws everything.
function start(to) {
  const grad = compute();
  grads = [];
  place = -1;
  for (const [box, contents] of boxes) {
    contents.reached = 0;
    redraw(box);
    const [i, ...more] = contents.members;
    write(contents.title, more.length ? `${contents.texts[0].textContent}: ${more.length + 1} nodes` : line(events[i]));
  }
  $("slider").max = events.length - 1;
  $("lines").style.height = `${events.length * ROW}px`;
  outcome(grad);
  go(to);
  return grad;
}

function again() {
  forward();
  return start(place);
}

function input(i) {
  const label = document.createElement("label"), field = document.createElement("input");
  label.append(nodes[i].name, field);
  field.type = "number";
  field.step = "any";
  field.value = data[i];
  field.addEventListener("input", () => {
    if (field.value === "") return;
    data[i] = Number(field.value);
    again();
  });
  return label;
}

// Fields for the first leaves; if there are more, the user adds a field by the leaf's name.
function inputs() {
  $("inputs").append(...leaves.slice(0, MOST_INPUTS).map(input));
  if (leaves.length <= MOST_INPUTS) return;
  const byName = new Map(leaves.map((i) => [nodes[i].name, i])), open = new Set(leaves.slice(0, MOST_INPUTS));
  $("other").hidden = false;
  $("other").addEventListener("submit", (event) => {
    event.preventDefault();
    const i = byName.get($("name").value);
    write($("unknown"), i === undefined ? "no leaf has this name" : "");
    if (i === undefined || open.has(i)) return;
    open.add(i);
    $("inputs").prepend(input(i));
  });
}

// ---------------------------------------------------------------- start

$("first").addEventListener("click", () => go(0));
$("back").addEventListener("click", () => go(place - 1));
$("next").addEventListener("click", () => go(place + 1));
$("last").addEventListener("click", () => go(events.length - 1));
$("slider").addEventListener("input", () => go(Number($("slider").value)));
$("play").addEventListener("click", () => play(timer === null));
$("speed").addEventListener("change", () => timer !== null && play(true));
$("quiz").addEventListener("click", () => {
  quizzing = !quizzing;
  $("quiz").setAttribute("aria-pressed", String(quizzing));
  $("outcome").hidden = quizzing; // it would give away the answers
  if (quizzing && events[place].kind === "forward") go(events.findIndex((e) => e.kind === "seed"));
  if (!quizzing) $("question").hidden = true;
  refresh();
});
$("question").addEventListener("submit", (event) => {
  event.preventDefault();
  write($("told"), judge($("answer").value));
});
document.addEventListener("keydown", (event) => {
  if (event.target.matches("input, select") || event.ctrlKey || event.metaKey || event.altKey) return;
  const box = event.target.closest("g.node");
  if (box && (event.key === "Enter" || event.key === " ")) {
    event.preventDefault();
    visit(boxes.get(box).members);
  }
  const moves = { ArrowRight: place + 1, ArrowLeft: place - 1, PageDown: place + 10, PageUp: place - 10,
    Home: 0, End: events.length - 1 };
  if (event.key in moves) { event.preventDefault(); go(moves[event.key]); }
});
$("events").addEventListener("scroll", lines);
$("events").addEventListener("click", (event) => {
  const item = event.target.closest("li");
  if (item) go(Number(item.dataset.event));
});
$("around").addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button) visit([Number(button.dataset.node)]);
});
boxes.forEach(({ members }, box) => {
  box.addEventListener("click", () => visit(members));
  // In a larger graph the tab key takes too long to reach a node; the neighbours' buttons are quicker.
  if (boxes.size <= 60) box.setAttribute("tabindex", "0");
  box.setAttribute("role", "button");
});
// A host, such as a notebook's widget, moves the player, and gets a message on every move from then on.
window.addEventListener("message", (message) => {
  if (window.parent === window || message.source !== window.parent) return;
  if (!Number.isInteger(message.data?.step)) return;
  host = window.parent;
  if (message.data.step !== place) go(message.data.step, false);
});
// A wide graph shrinks while its text is readable, and scrolls beyond that.
const svg = document.querySelector("#picture svg");
if (svg) svg.style.minWidth = `${0.62 * svg.viewBox.baseVal.width * 4 / 3}px`;
$("around").hidden = complete;
inputs();
start(0);
