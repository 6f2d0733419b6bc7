// Python, the engine and Graphviz in a worker: answers questions, and trains without being asked twice.
import { loadPyodide } from "../pyodide/pyodide.mjs";
import { Graphviz } from "./graphviz.js";

const TRAINING = 0.016, DRAWING = 0.01; // seconds between two looks at the messages
let python, graphviz, trapped = false, answer, running = null, looking = true;

/** DOT as SVG. After a trap the instance is of no use, so the next question gets a new one. */
function layout(dot) {
  try {
    return graphviz.layout(dot, "svg", "dot");
  } catch (error) {
    trapped = true;
    throw error;
  }
}

async function renewed() {
  if (trapped) Graphviz.unload();
  graphviz = await Graphviz.load();
  trapped = false;
}

async function start() {
  const [loaded, packages] = await Promise.all([
    loadPyodide({ indexURL: new URL("../pyodide/", import.meta.url).href }),
    fetch(new URL("engine.zip", import.meta.url)).then((response) => response.arrayBuffer()),
    renewed(),
  ]);
  python = loaded;
  const folder = python.runPython("import site; site.getsitepackages()[0]");
  python.unpackArchive(packages, "zip", { extractDir: folder });
  python.registerJsModule("page", { layout });
  const door = python.runPython(`
import page
from autograd.show import render
from lab.door import answer

def graphviz(dot):
    return page.layout(dot)

render.use(graphviz)
answer`);
  answer = (name, ...values) => {
    const given = python.toPy(values), found = door(name, given);
    given.destroy();
    if (!found?.toJs) return found;
    const plain = found.toJs({ dict_converter: Object.fromEntries });
    found.destroy();
    return plain;
  };
}

/** Load packages of Pyodide; the answer names those that could not be loaded. */
async function load(names) {
  const missing = [];
  for (const name of names) {
    const complaints = [];
    await python.loadPackage(name, { errorCallback: (text) => complaints.push(text), messageCallback() {} })
      .catch((error) => complaints.push(String(error)));
    if (complaints.length || !(name in python.loadedPackages)) missing.push(name);
  }
  return missing;
}

/** What the page sees next; drawing waits until it has seen the last frame, and training does not. */
function frame(done) {
  looking = false;
  postMessage({ frame: { ...answer("shown"), rows: answer("rows", DRAWING), done } });
}

/** Let messages in. A timeout would wait 4 ms. */
const turn = () => new Promise((go) => {
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => { port1.close(); go(); };
  port2.postMessage(0);
});

async function train(most) {
  const mine = running = { left: most };
  while (running === mine) {
    const taken = answer("train", TRAINING, mine.left);
    if (typeof taken !== "number") throw new Error(taken.error);
    mine.left -= taken;
    const done = taken === 0 || mine.left <= 0;
    if (done) running = null;
    if (looking || done) frame(done);
    await turn();
  }
}

const ready = start().then(() => postMessage({ ready: true }));
ready.catch((error) => postMessage({ died: String(error) }));

onmessage = async ({ data }) => {
  await ready;
  try {
    if (data.seen) looking = true;
    else if (data.train) await train(data.train);
    else if (data.pause) running = null;
    else {
      if (data.name === "start" || data.name === "restore") running = null;
      const started = performance.now();
      const found = data.name === "packages" ? await load(data.values) : answer(data.name, ...data.values);
      postMessage({ id: data.id, found, took: performance.now() - started });
      if (trapped) await renewed();
    }
  } catch (error) {
    postMessage({ died: String(error?.message ?? error).slice(-600) });
  }
};
