// The player's page in a notebook's widget: passes steps from the page to the model and back.

function render({ model, el }) {
  const frame = document.createElement("iframe");
  frame.sandbox = "allow-scripts";
  frame.title = "backprop player";
  frame.srcdoc = model.get("page");
  frame.style.cssText = "position: absolute; inset: 0; box-sizing: border-box; width: 100%; height: 100%; border: 1px solid #8888; border-radius: 6px";
  const room = document.createElement("div"); // its padding depends on its width, as a height cannot
  room.style.cssText = `position: relative; height: 0; padding-bottom: ${model.get("height")}`;
  room.append(frame);
  let last = model.get("step");

  const send = () => frame.contentWindow?.postMessage({ step: model.get("step") }, "*");
  const receive = (message) => {
    if (message.source !== frame.contentWindow || !Number.isInteger(message.data?.step)) return;
    // With other inputs a pass can have more events than Python's.
    last = Math.min(message.data.step, model.get("count") - 1);
    model.set("step", last);
    model.save_changes();
  };
  // A step that came from the page is not sent back to it: the page may have moved on.
  const follow = () => {
    if (model.get("step") === last) return;
    last = model.get("step");
    send();
  };

  frame.addEventListener("load", send);
  window.addEventListener("message", receive);
  model.on("change:step", follow);
  el.append(room);
  return () => {
    window.removeEventListener("message", receive);
    model.off("change:step", follow);
  };
}

export default { render };
