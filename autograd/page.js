// The player of a saved page: computes both passes from the graph, and shows them event by event.

const graph = JSON.parse(document.getElementById("data").textContent);
const nodes = graph.nodes;
const $ = (id) => document.getElementById(id);

// erf by its series up to 3, erfc by its continued fraction from there on: 1e-15 of the result.
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

// ---------------------------------------------------------------- the two passes

let data = nodes.map((node) => Number(node.data));
let events = [];

function operands(i) {
  const node = nodes[i];
  const x = node.a == null ? Number(node.x) : data[node.a];
  const y = node.y === undefined ? undefined : node.b == null ? Number(node.y) : data[node.b];
  return [x, y];
}

function forward() {
  nodes.forEach((node, i) => {
    if (node.op) data[i] = rows[node.op].z(...operands(i));
  });
}

// In the engine's order, and like it: a gradient of 0 is not handed on.
function compute() {
  events = nodes.map((_, i) => ({ kind: "forward", node: i }));
  const grad = nodes.map(() => 0);
  grad[graph.root] = data[graph.root] === data[graph.root] ? 1 : NaN;
  events.push({ kind: "seed", node: graph.root, grad: grad[graph.root] });
  const uses = nodes.map(() => 0), arrived = nodes.map(() => 0);
  const parents = (i) => [nodes[i].a, nodes[i].b];
  for (const i of graph.order) for (const p of parents(i)) if (p != null) uses[p] += 1;
  for (const i of graph.order) {
    const g = grad[i], [x, y] = operands(i), row = rows[nodes[i].op];
    parents(i).forEach((target, k) => {
      if (target == null) return;
      if (!g && g === g) { uses[target] -= 1; return; }
      const local = (k ? row.dy : row.dx)(x, y, data[i]);
      const contribution = g * local;
      grad[target] += contribution;
      arrived[target] += 1;
      events.push({ kind: "backward", node: i, operand: k, target, upstream: g, local,
        contribution, grad: grad[target], arrived: arrived[target] });
    });
  }
  return grad;
}

// ---------------------------------------------------------------- words

function shown(x) {
  if (!Number.isFinite(x)) return x !== x ? "nan" : x > 0 ? "inf" : "-inf";
  const text = Number(x.toPrecision(4));
  return Math.abs(text) >= 1e5 || (text && Math.abs(text) < 1e-4)
    ? text.toExponential().replace("e+", "e") : String(text);
}
const bracketed = (x) => (shown(x).startsWith("-") ? `(${shown(x)})` : shown(x));
// tanh((-1.5)) is one pair of brackets too many.
const filled = (text, parts) =>
  text.replace(/\b[xyz]\b/g, (name) => parts[name]).replace(/\((\(-[\d.e+-]+\))\)/g, "$1");

function parts(i) {
  const node = nodes[i], [x, y] = operands(i);
  const name = (p, number) => (p == null ? bracketed(number) : nodes[p].name);
  return [
    { x: name(node.a, x), y: name(node.b, y), z: node.name },
    { x: bracketed(x), y: bracketed(y), z: bracketed(data[i]) },
  ];
}

function told(event) {
  const node = nodes[event.node];
  if (event.kind === "seed") return [`dL/d${node.name} = 1`, ""];
  if (!node.op) return [node.name, shown(data[event.node])];
  const [words, numbers] = parts(event.node), texts = graph.texts[node.op];
  if (event.kind === "forward") {
    return [`${node.name} = ${filled(texts[0], words)}`,
      `${filled(texts[0], numbers)} = ${shown(data[event.node])}`];
  }
  const text = texts[1 + event.operand];
  const factor = /^[\w.]+(\(.*\))?$/.test(text) && !/^\w+\(.*\).*\(/.test(text) ? (t) => t : (t) => `(${t})`;
  const sum = event.arrived > 1 ? `, in all ${shown(event.grad)}` : "";
  return [`dL/d${nodes[event.target].name} += dL/d${node.name} * ${factor(filled(text, words))}`,
    `${bracketed(event.upstream)} * ${factor(filled(text, numbers))} = ${shown(event.contribution)}${sum}`];
}
const line = (event) => told(event).filter(Boolean).join(" = ");

// ---------------------------------------------------------------- what is on the screen

let place = 0, timer = null, quizzing = false;

function paint(box, grad, largest) {
  const shape = box.querySelector("path, polygon");
  if (!shape) return;
  const { plus, minus, none, bad } = graph.colours;
  const size = Math.abs(grad);
  const step = size ? Math.max(0, 3 - Math.floor(Math.log10(Math.max(largest / size, 1)))) : 0;
  shape.setAttribute("fill", grad === undefined || grad === 0 ? none
    : !Number.isFinite(grad) ? bad : (grad > 0 ? plus : minus)[step]);
}

const boxOf = nodes.map((node) => (node.box ? document.getElementById(node.box) : null));
const members = new Map();
boxOf.forEach((box, i) => box && members.set(box, [...(members.get(box) || []), i]));

function refresh() {
  const event = events[place];
  $("place").textContent = `event ${place + 1} of ${events.length}`;
  const [words, numbers] = told(event);
  $("formula").textContent = numbers ? `${words}\n= ${numbers}` : words;
  $("formula").style.whiteSpace = "pre-wrap";
  const grads = new Map();
  let known = 0;
  for (let i = 0; i <= place; i++) {
    const e = events[i];
    if (e.kind === "forward") known = i + 1;
    else grads.set(e.kind === "seed" ? e.node : e.target, e.grad);
  }
  let largest = 0;
  for (const g of grads.values()) if (Number.isFinite(g)) largest = Math.max(largest, Math.abs(g));
  for (const [box, inside] of members) {
    box.classList.toggle("here", inside.includes(event.node));
    box.classList.toggle("to", event.target !== undefined && inside.includes(event.target));
    if (inside.length > 1) continue;
    const texts = box.querySelectorAll("text"), i = inside[0];
    const title = box.querySelector("title");
    if (title) title.textContent = line(events[i]);
    texts[texts.length - 2].textContent = `value ${i < known ? shown(data[i]).replace("-", "\u2212") : "?"}`;
    texts[texts.length - 1].textContent = grads.has(i) ? `grad ${shown(grads.get(i)).replace("-", "\u2212")}` : "";
    paint(box, grads.get(i), largest);
  }
  if (boxOf[event.target ?? event.node]) bringIntoView(boxOf[event.target ?? event.node]);
  const here = $("events").querySelector(".here");
  if (here) here.classList.remove("here");
  const item = $("events").children[place];
  item.classList.add("here");
  const list = $("events");
  list.scrollTop = item.offsetTop - list.offsetTop - list.clientHeight / 2;
  if (quizzing) ask();
}

// Only the picture scrolls, and only if the box is not in view.
function bringIntoView(box) {
  const frame = $("picture"), inner = box.getBoundingClientRect(), outer = frame.getBoundingClientRect();
  if (inner.left < outer.left || inner.right > outer.right) {
    frame.scrollLeft += inner.left + inner.width / 2 - outer.left - outer.width / 2;
  }
  if (inner.top < outer.top || inner.bottom > outer.bottom) {
    frame.scrollTop += inner.top + inner.height / 2 - outer.top - outer.height / 2;
  }
}

function go(to) {
  place = Math.max(0, Math.min(to, events.length - 1));
  refresh();
}

function rewrite() {
  const list = $("events");
  list.replaceChildren(...events.map((event, i) => {
    const item = document.createElement("li");
    item.textContent = line(event);
    item.addEventListener("click", () => go(i));
    return item;
  }));
}

function play(on) {
  clearInterval(timer);
  timer = on ? setInterval(() => (place + 1 < events.length ? go(place + 1) : play(false)), Number($("speed").value)) : null;
  $("play").setAttribute("aria-pressed", String(on));
  $("play").textContent = on ? "pause" : "play";
}

// ---------------------------------------------------------------- the quiz

function ask() {
  const next = events[place + 1];
  const wanted = next && next.kind === "backward";
  $("question").hidden = !wanted;
  if (!wanted) return;
  $("ask").textContent = `After the next event, what is dL/d${nodes[next.target].name}?`;
  $("answer").value = "";
  $("told").textContent = "";
}

function judge(text) {
  const next = events[place + 1], given = Number(text);
  const near = (x) => Math.abs(given - x) <= 0.01 * Math.abs(x) + 1e-12;
  if (text.trim() === "" || given !== given) return "A number, please.";
  if (near(next.grad)) return `Right: ${line(next)}.`;
  if (near(-next.grad)) return "The size is right; look at the sign.";
  if (next.arrived > 1 && near(next.contribution)) return "That is what comes now; add it to what is there.";
  if (near(next.local)) return "That is the local derivative; multiply by what comes from above.";
  if (near(next.upstream)) return "That is what comes from above; multiply by the local derivative.";
  return `Not yet: ${told(next)[0]}, with dL/d${nodes[next.node].name} = ${shown(next.upstream)}.`;
}

// ---------------------------------------------------------------- what if

function outcome(grad) {
  const leaves = nodes.map((node, i) => (node.op ? -1 : i)).filter((i) => i >= 0).slice(0, 12);
  $("outcome").textContent = `${nodes[graph.root].name} = ${shown(data[graph.root])}; `
    + leaves.map((i) => `dL/d${nodes[i].name} = ${shown(grad[i])}`).join(", ");
}

function again() {
  forward();
  const grad = compute();
  rewrite();
  outcome(grad);
  go(place);
  return grad;
}

function inputs() {
  const leaves = nodes.map((node, i) => [node, i]).filter(([node]) => !node.op).slice(0, 60);
  for (const [node, i] of leaves) {
    const label = document.createElement("label"), input = document.createElement("input");
    label.append(node.name, input);
    input.type = "number";
    input.step = "any";
    input.value = data[i];
    input.addEventListener("input", () => {
      if (input.value === "") return;
      data[i] = Number(input.value);
      again();
    });
    $("inputs").append(label);
  }
}

// ---------------------------------------------------------------- start

$("first").addEventListener("click", () => go(0));
$("back").addEventListener("click", () => go(place - 1));
$("next").addEventListener("click", () => go(place + 1));
$("last").addEventListener("click", () => go(events.length - 1));
$("play").addEventListener("click", () => play(timer === null));
$("speed").addEventListener("change", () => timer !== null && play(true));
$("quiz").addEventListener("click", () => {
  quizzing = !quizzing;
  $("quiz").setAttribute("aria-pressed", String(quizzing));
  if (quizzing && events[place].kind === "forward") go(events.findIndex((e) => e.kind === "seed"));
  if (quizzing) ask(); else $("question").hidden = true;
});
$("question").addEventListener("submit", (event) => {
  event.preventDefault();
  $("told").textContent = judge($("answer").value);
});
document.addEventListener("keydown", (event) => {
  if (event.target.matches("input, select")) return;
  const moves = { ArrowRight: place + 1, ArrowLeft: place - 1, Home: 0, End: events.length - 1 };
  if (event.key in moves) { event.preventDefault(); go(moves[event.key]); }
});
members.forEach((inside, box) => {
  box.addEventListener("click", () => go(events.findIndex((e) => inside.includes(e.node) && e.kind === (place < nodes.length ? "forward" : "backward"))));
});
// A wide graph shrinks to what can still be read, and scrolls from there on.
const svg = document.querySelector("#picture svg");
if (svg) svg.style.minWidth = `${0.62 * svg.viewBox.baseVal.width * 4 / 3}px`;
inputs();
outcome(compute());
rewrite();
go(0);
