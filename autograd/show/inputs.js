// Other inputs on a saved page: fields and sliders, and steps of gradient descent.

const MOST_GRADS = 12, MOST_INPUTS = 60, MOST_SLIDERS = 6;
const leaves = nodes.map((node, i) => (node.op ? -1 : i)).filter((i) => i >= 0);
const fields = new Map(); // for each leaf with a field, a function that shows its number

function outcome(grad) {
  const more = leaves.length > MOST_GRADS ? `, and ${leaves.length - MOST_GRADS} more` : "";
  write($("outcome"), `${nodes[graph.root].name} = ${format(data[graph.root])}; `
    + leaves.slice(0, MOST_GRADS).map((i) => `dL/d${nodes[i].name} = ${format(grad[i])}`).join(", ") + more);
}

function again() {
  forward();
  return start(place);
}

function field(type, i, changed) {
  const element = document.createElement("input");
  element.type = type;
  element.step = "any";
  element.value = data[i];
  element.addEventListener("input", () => {
    if (element.value === "") return;
    changed(Number(element.value), element);
  });
  return element;
}

// A leaf's number, and for a graph of few leaves a slider around it.
function input(i) {
  const row = document.createElement("span"), label = document.createElement("label");
  row.className = "input";
  const shown = [];
  const change = (number, by) => {
    data[i] = number;
    shown.forEach((element) => element !== by && (element.value = number));
    forget();
    again();
  };
  shown.push(field("number", i, change));
  label.append(nodes[i].name, shown[0]);
  row.append(label);
  if (leaves.length <= MOST_SLIDERS) {
    const slider = field("range", i, change), reach = Math.max(2, 2 * Math.abs(data[i]));
    slider.min = data[i] - reach;
    slider.max = data[i] + reach;
    slider.step = reach / 100;
    slider.value = data[i];
    slider.setAttribute("aria-label", `slider of ${nodes[i].name}`);
    shown.push(slider);
    row.append(slider);
  }
  fields.set(i, () => shown.forEach((element) => (element.value = data[i])));
  return row;
}

// Fields for the first leaves; if there are more, the user adds a field by the leaf's name.
function inputs() {
  $("inputs").classList.toggle("few", leaves.length <= MOST_SLIDERS);
  $("inputs").append(...leaves.slice(0, MOST_INPUTS).map(input));
  if (leaves.length <= MOST_INPUTS) return;
  const byName = new Map(leaves.map((i) => [nodes[i].name, i]));
  $("other").hidden = false;
  $("other").addEventListener("submit", (event) => {
    event.preventDefault();
    const i = byName.get($("name").value);
    write($("unknown"), i === undefined ? "there is no input with this name" : "");
    if (i !== undefined && !fields.has(i)) $("inputs").prepend(input(i));
  });
}

// ---------------------------------------------------------------- gradient descent

// What looks like a parameter moves, and what looks like data stays: the user can change it.
const parameter = (i) => nodes[i].parameter || /(^|\.)(w|b|weight|bias|theta)s?[\d_.]*$/i.test(nodes[i].name);
let moving = new Set(), losses = [], origin = [];

function forget() {
  losses = [];
  origin = [];
  drawLosses();
}

function descend(steps) {
  const rate = 10 ** Number($("rate").value), root = graph.root;
  if (!losses.length) {
    losses = [data[root]];
    origin = leaves.map((i) => data[i]);
  }
  for (let k = 0; k < steps && Number.isFinite(data[root]); k++) {
    const grad = compute();
    moving.forEach((i) => (data[i] -= rate * grad[i]));
    forward();
    losses.push(data[root]);
  }
  fields.forEach((show) => show());
  drawLosses();
  start(place);
}

function drawLosses() {
  const name = nodes[graph.root].name, last = losses[losses.length - 1], count = losses.length - 1;
  $("curve").replaceChildren();
  $("restart").disabled = losses.length < 2;
  if (losses.length < 2) return write($("losses"), "each step adds the new loss to the plot below");
  const steps = count === 1 ? "1 step" : `${count} steps`;
  write($("losses"), `${name} = ${format(losses[0])} at the start, ${format(last)} after ${steps}`);
  const finite = losses.filter(Number.isFinite), top = Math.max(...finite), low = Math.min(...finite);
  const x = (k) => 8 + (284 * k) / Math.max(1, count), y = (loss) => 118 - 104 * ((loss - low) / (top - low || 1));
  const points = losses.map((loss, k) => (Number.isFinite(loss) ? `${x(k)},${y(loss)}` : "")).filter(Boolean);
  $("curve").innerHTML = `<polyline points="${points.join(" ")}"/>`;
}

function moves() {
  const likely = leaves.filter(parameter);
  moving = new Set(likely.length ? likely : leaves);
  $("moves").append(...leaves.slice(0, 10 * MOST_INPUTS).map((i) => {
    const label = document.createElement("label"), box = document.createElement("input");
    box.type = "checkbox";
    box.checked = moving.has(i);
    box.setAttribute("aria-label", `${nodes[i].name} moves`);
    box.addEventListener("change", () => (box.checked ? moving.add(i) : moving.delete(i)));
    label.append(box, ` ${nodes[i].name}`);
    return label;
  }));
}

const rated = () => write($("rated"), (10 ** Number($("rate").value)).toPrecision(2));
$("rate").addEventListener("input", rated);
$("descend").addEventListener("click", () => descend(1));
$("ten").addEventListener("click", () => descend(10));
$("restart").addEventListener("click", () => {
  leaves.forEach((i, k) => (data[i] = origin[k]));
  fields.forEach((show) => show());
  forget();
  again();
});
