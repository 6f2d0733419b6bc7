// The page: starts Python, fills the two tabs, keeps the address up to date.
import { Engine } from "./engine.js";
import { Expression } from "./expression.js";
import { Network } from "./network.js";
import * as address from "./address.js";
import * as questions from "./questions.js";
import { copyLink, save } from "./download.js";
import { tabs } from "./tabs.js";
import { at, short } from "./text.js";

const state = address.read(), started = performance.now();
let tab = state.tab, expression, network;

const remember = () => address.write({ tab, ...expression?.state(), ...network?.state() });

const engine = new Engine({
  ready() {
    at("status").textContent = `Python is ready after ${short((performance.now() - started) / 1000)} s. Nothing leaves this page.`;
    document.body.dataset.ready = "yes";
  },
  frame: (found) => network?.frame(found),
  died(reason) {
    document.body.dataset.ready = "again";
    at("status").textContent = `Python stopped (${reason}); it is starting again ...`;
    network?.restore();
  },
});

tabs(tab, (name) => { tab = name; remember(); });
expression = new Expression(engine, state, remember);

const { tab: _tab, text: _text, inputs: _inputs, ...setting } = state;
engine.ask("choices").then(async (choices) => {
  network = new Network(engine, choices, setting, remember);
  questions.show(choices.questions, (question) => network.ask(question));
  await expression.see();
  await network.start();
  document.body.dataset.loaded = "yes";
}, (error) => { at("status").textContent = `The playground could not start: ${error.message}`; });

at("script").onclick = async () => save("network.py", await engine.ask("script"));
at("notebook").onclick = async () => save("network.ipynb", await engine.ask("notebook"));
at("link").onclick = () => copyLink(at("link"));
// A link that is pasted into the same tab changes the address alone.
addEventListener("hashchange", () => location.reload());
window.playground = { engine }; // for the curious, and for tests
