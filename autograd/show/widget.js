// The player's page in a notebook's widget: hands steps from the page to the model and back.

function render({ model, el }) {
  const frame = document.createElement("iframe");
  frame.sandbox = "allow-scripts";
  frame.title = "backprop player";
  frame.srcdoc = model.get("page");
  frame.style.cssText = `box-sizing: border-box; width: 100%; height: ${model.get("height")}px; border: 1px solid #8888; border-radius: 6px`;
  let heard = model.get("step");

  const tell = () => frame.contentWindow?.postMessage({ step: model.get("step") }, "*");
  const hear = (message) => {
    if (message.source !== frame.contentWindow || !Number.isInteger(message.data?.step)) return;
    // With other inputs a pass can have more events than Python's.
    heard = Math.min(message.data.step, model.get("count") - 1);
    model.set("step", heard);
    model.save_changes();
  };
  // What the page said itself is not told to it again: it may have moved on.
  const follow = () => {
    if (model.get("step") === heard) return;
    heard = model.get("step");
    tell();
  };

  frame.addEventListener("load", tell);
  window.addEventListener("message", hear);
  model.on("change:step", follow);
  el.append(frame);
  return () => {
    window.removeEventListener("message", hear);
    model.off("change:step", follow);
  };
}

export default { render };
