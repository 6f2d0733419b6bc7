// The controls of a saved page, and its start.

$("first").addEventListener("click", () => go(0));
$("back").addEventListener("click", () => go(place - 1));
$("next").addEventListener("click", () => go(place + 1));
$("last").addEventListener("click", () => go(events.length - 1));
$("slider").addEventListener("input", () => go(Number($("slider").value)));
$("play").addEventListener("click", () => play(timer === null));
$("speed").addEventListener("change", () => timer !== null && play(true));
$("close").addEventListener("click", () => open(null));

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.matches("input, select") && event.target.type !== "checkbox") return;
  const box = event.target.closest("g.node"), pressed = event.key === "Enter" || event.key === " ";
  if (box && pressed) {
    event.preventDefault();
    box.dispatchEvent(new MouseEvent("click"));
  } else if (event.key === " " && !event.target.closest("button, summary, input")) {
    event.preventDefault();
    play(timer === null);
  }
  const to = { ArrowRight: place + 1, ArrowLeft: place - 1, PageDown: place + 10, PageUp: place - 10,
    Home: 0, End: events.length - 1 };
  if (event.key in to) { event.preventDefault(); go(to[event.key]); }
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
// A host, such as a notebook's widget, moves the player, and gets a message on every move from then on.
window.addEventListener("message", (message) => {
  if (window.parent === window || message.source !== window.parent) return;
  if (!Number.isInteger(message.data?.step)) return;
  host = window.parent;
  if (message.data.step !== place) go(message.data.step, false);
});

$("plus").style.background = graph.colours.plus[3];
$("minus").style.background = graph.colours.minus[3];
$("legend").hidden = wholeGraph === null;
readPicture();
inputs();
moves();
rated();
drawLosses();
start(0);
