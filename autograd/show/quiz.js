// The quiz of a saved page: it asks for the gradient after each event, and keeps the score.

let quizzing = false, tries = 0, asked = 0, right = 0, answered = false;

function quiz(on) {
  quizzing = on;
  $("quiz").setAttribute("aria-pressed", String(on));
  $("outcome").hidden = on; // it would give away the answers
  asked = right = 0;
  const seed = events.findIndex((e) => e.kind === "seed"), over = place === events.length - 1;
  if (on && (over || place < seed)) go(seed);
  if (!on) $("question").hidden = true;
  refresh();
}

function ask() {
  const next = events[place + 1];
  const backward = next && next.kind === "backward";
  $("question").hidden = !backward;
  tries = 0;
  answered = false;
  if (!backward) return;
  write($("ask"), `After the next event, what is dL/d${nodes[next.target].name}?`);
  $("answer").value = "";
  write($("told"), "");
  write($("check"), "check");
  write($("score"), asked ? `${right} of ${asked} right on the first try` : "");
  $("answer").focus({ preventScroll: true });
}

// A number as people write it: 0.5, 0,5, .5, 1/2, 1e-3, with any minus sign.
function read(text) {
  const plain = text.trim().replace(/[\u2212\u2013]/g, "-").replace(",", ".");
  const parts = plain.split("/");
  if (parts.length > 2 || parts.some((part) => part.trim() === "")) return NaN;
  return parts.map(Number).reduce((x, y) => x / y);
}

function judge(text) {
  const next = events[place + 1], answer = read(text), upstream = `dL/d${nodes[next.node].name}`;
  const near = (x) => Math.abs(answer - x) <= 0.01 * Math.abs(x) + 1e-12;
  if (answer !== answer) return "Please enter a number, such as -0.5 or 1/3.";
  tries += 1;
  if (near(next.grad)) return accepted(`Right: ${line(next)}.`);
  if (near(-next.grad)) return "The size is right; check the sign.";
  if (next.arrived > 1 && near(next.contribution)) return "That is the new contribution; add it to the sum so far.";
  if (near(next.local)) return `That is the local derivative; multiply it by ${upstream}.`;
  if (near(next.upstream)) return `That is ${upstream}; multiply it by the local derivative.`;
  return `Not yet: ${upstream} is ${format(next.upstream)}; multiply it by the local derivative.`;
}

function accepted(text) {
  answered = true;
  asked += 1;
  right += tries === 1;
  write($("check"), "next question");
  write($("score"), `${right} of ${asked} right on the first try`);
  return text;
}

$("quiz").addEventListener("click", () => quiz(!quizzing));
$("question").addEventListener("submit", (event) => {
  event.preventDefault();
  if (answered) go(place + 1);
  else write($("told"), judge($("answer").value));
});
$("reveal").addEventListener("click", () => {
  if (answered) return;
  tries = 2; // an answer that was shown is not right on the first try
  write($("told"), accepted(line(events[place + 1])));
  $("answer").focus({ preventScroll: true });
});
