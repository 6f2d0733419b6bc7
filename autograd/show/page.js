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
  for (const i of graph.computed ?? nodes.keys()) {
    if (nodes[i].op) data[i] = rows[nodes[i].op].z(...operands(i));
  }
}

// The nodes that a node was computed from, as it is shown: a formula stands for its inner nodes.
const below = ({ a, b, operands: outside }) => outside ?? [a, b];

// What a node's operands receive from it, for each of `below`, if its gradient is g.
function amounts(i, g) {
  const { inner, operands: outside } = nodes[i];
  if (!inner) return slopes(i).map((local) => g * local);
  const received = new Map([...inner, ...outside].map((k) => [k, 0]));
  received.set(i, g);
  for (const k of inner) {
    const upstream = received.get(k), local = upstream === 0 ? [] : slopes(k);
    [nodes[k].a, nodes[k].b].forEach((p, which) => {
      if (p != null && upstream !== 0) received.set(p, received.get(p) + upstream * local[which]);
    });
  }
  return outside.map((k) => received.get(k));
}

function slopes(i) {
  const [x, y] = operands(i), { dx, dy } = rows[nodes[i].op];
  return [dx, dy].filter(Boolean).map((slope) => slope(x, y, data[i]));
}

// Like the engine: in its order, and a gradient of 0 is not passed on.
function compute() {
  events = nodes.slice(0, graph.shown).map((_, i) => ({ kind: "forward", node: i }));
  const grad = nodes.map(() => 0);
  largest = 0;
  grad[graph.root] = data[graph.root] === data[graph.root] ? 1 : NaN;
  events.push({ kind: "seed", node: graph.root, target: graph.root, grad: grad[graph.root] });
  const arrived = nodes.map(() => 0);
  for (const i of graph.order) {
    const g = grad[i];
    if (!g && g === g) continue;
    const parts = amounts(i, g), locals = amounts(i, 1);
    below(nodes[i]).forEach((target, k) => {
      if (target == null) return;
      const contribution = parts[k], local = locals[k];
      const before = arrived[target] ? grad[target] : undefined;
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
// As on paper: 2 v3 for 2 * v3, where the number opens a product.
const onPaper = (text) => text.replace(/(^|\(|[+-] )(\d+(?:\.\d+)?) \* (?=[xyz]\b)/g, "$1$2 ");

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
  if (!node.op) return [`${node.name} = ${format(data[event.node])}`, ""];
  if (node.taught && event.kind === "forward") return [`${node.name} = ${node.taught.join(", ")}`, format(data[event.node])];
  const total = event.arrived > 1 ? `, total ${format(event.grad)}` : "";
  if (node.taught) {
    const target = nodes[event.target].name;
    return [`dL/d${target} += dL/d${node.name} * d${node.name}/d${target}`,
      `${bracketed(event.upstream)} * ${bracketed(event.local)} = ${format(event.contribution)}${total}`];
  }
  const [names, numbers] = parts(event.node), formulas = graph.formulas[node.formula];
  if (event.kind === "forward") {
    const [text] = formulas[0];
    return [`${node.name} = ${substituted(onPaper(text), names)}`,
      `${substituted(text, numbers)} = ${format(data[event.node])}`];
  }
  const [text, bare] = formulas[1 + event.operand], factor = (t) => (bare ? t : `(${t})`);
  return [`dL/d${nodes[event.target].name} += dL/d${node.name} * ${factor(substituted(onPaper(text), names))}`,
    `${bracketed(event.upstream)} * ${factor(substituted(text, numbers))} = ${format(event.contribution)}${total}`];
}
const line = (event) => described(event).filter(Boolean).join(" = ");

// ---------------------------------------------------------------- the screen
//
// A step updates only what its events change, so it takes as long in a graph of a hundred thousand
// nodes as in one of ten.

let place = 0, timer = null, host = null; // place: the index of the present event

// The picture shows the whole graph, or one scope that was opened.  A box is a node, or all nodes of
// a closed scope; `reached` counts the nodes with a gradient.
let opened = null, boxOf = [], boxes = new Map(), edges = new Map(), complete = false;
const wholeGraph = $("picture").firstElementChild;

function readPicture() {
  const ids = nodes.slice(0, graph.shown)
    .map((node) => (opened === null ? node.box : node.view === opened ? node.viewed : null));
  boxOf = ids.map((id) => (id ? $(id) : null));
  boxes = new Map();
  boxOf.forEach((box, i) => {
    if (!box) return;
    if (!boxes.has(box)) {
      boxes.set(box, { members: [], reached: 0, title: box.querySelector("title"),
        shape: box.querySelector("path, polygon"), texts: [...box.querySelectorAll("text")] });
    }
    boxes.get(box).members.push(i);
  });
  edges = new Map();
  for (const edge of document.querySelectorAll("#picture g.edge")) {
    const ends = edge.querySelector("title").textContent;
    edges.set(ends, [...(edges.get(ends) ?? []), edge]);
  }
  complete = boxOf.every((box) => box && boxes.get(box).members.length === 1);
  boxes.forEach(({ members }, box) => {
    box.addEventListener("click", () => (members.length > 1 && canOpen(members) ? open(nodes[members[0]].view) : visit(members)));
    // In a larger graph the tab key takes too long to reach a node; the neighbours' buttons are quicker.
    if (boxes.size <= 60) box.setAttribute("tabindex", "0");
    box.setAttribute("role", "button");
  });
  // A wide graph shrinks while its text is readable, and scrolls beyond that.
  const svg = document.querySelector("#picture svg");
  if (svg) svg.style.minWidth = `${0.62 * svg.viewBox.baseVal.width * 4 / 3}px`;
  $("around").hidden = complete;
}

const canOpen = (members) => opened === null && nodes[members[0]].view !== undefined;

// Shows one scope in the place of the whole graph; null shows the whole graph again.
function open(view) {
  opened = view;
  $("picture").replaceChildren(view === null ? wholeGraph : $(`view${view}`).content.firstElementChild.cloneNode(true));
  $("close").hidden = view === null;
  readPicture();
  redrawAll();
  refresh();
}

const users = nodes.map(() => []);
nodes.slice(0, graph.shown).forEach((node, i) => below(node).forEach((p) => p != null && !users[p].includes(i) && users[p].push(i)));

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

// The edge from the target's box to the node's; a node that uses an operand twice has two.
function edgeOf({ kind, node, target, operand }) {
  if (kind !== "backward" || !boxOf[node] || !boxOf[target]) return null;
  const parallel = edges.get(`${boxOf[target].id}->${boxOf[node].id}`) ?? [];
  return parallel[nodes[node].a === nodes[node].b ? operand : 0] ?? parallel[0];
}

let marked = [];
function mark(event) {
  marked.forEach((element) => element.classList.remove("here", "from", "lit"));
  const node = boxOf[event.node], to = event.kind === "backward" ? boxOf[event.target] : null;
  const edge = edgeOf(event);
  if (node) node.classList.add(...(event.kind === "backward" ? ["here", "from"] : ["here"]));
  if (to) to.classList.add("here");
  if (to && to === node) to.classList.remove("from");
  if (edge) edge.classList.add("lit");
  marked = [node, to, edge].filter(Boolean);
  if (to || node) bringIntoView(to || node);
}

function refresh() {
  const event = events[place];
  write($("place"), `event ${place + 1} of ${events.length}`);
  $("slider").value = place;
  const [names, numbers] = described(event);
  write($("formula"), numbers ? `${names}\n= ${numbers}` : names);
  typeset(event);
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
    item.textContent = unknown ? `dL/d${nodes[events[i].target].name} = ?` : line(events[i]);
    item.style.top = `${i * ROW}px`;
    item.dataset.event = i;
    if (i === place) item.className = "here";
    items.push(item);
  }
  $("lines").replaceChildren(...items);
}

// If the picture does not show every node: the present node between its operands and its users.
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
  $("operands").replaceChildren(...cards([...new Set(below(nodes[event.node]))].filter((p) => p != null)));
  $("node").replaceChildren(card(event.node));
  $("users").replaceChildren(...cards(users[event.node]));
}

function play(on) {
  clearInterval(timer);
  timer = on ? setInterval(() => (place + 1 < events.length ? go(place + 1) : play(false)), Number($("speed").value)) : null;
  $("play").setAttribute("aria-pressed", String(on));
  write($("play"), on ? "pause" : "play");
}

// What the picture shows of the present event, from nothing.
function redrawAll() {
  for (const [box, contents] of boxes) {
    contents.reached = contents.members.filter((i) => grads[i] !== undefined).length;
    redraw(box);
    const [i, ...more] = contents.members;
    write(contents.title, more.length ? `${contents.texts[0].textContent}: ${more.length + 1} nodes${canOpen(contents.members) ? "; click to open" : ""}` : line(events[i]));
  }
}

// Computes both passes again and redraws everything.
function start(to) {
  const grad = compute();
  grads = [];
  place = -1;
  redrawAll();
  $("slider").max = events.length - 1;
  $("lines").style.height = `${events.length * ROW}px`;
  outcome(grad);
  go(to);
  return grad;
}
