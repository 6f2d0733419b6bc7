// Light or dark, as the guides remember it too: "light", "dark", or "auto" as the system has it.
"use strict";
(() => {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const chosen = () => { try { return localStorage.getItem("theme") || "auto"; } catch { return "auto"; } };
  const now = () => (chosen() === "auto" ? (system.matches ? "dark" : "light") : chosen());
  const apply = () => { document.documentElement.dataset.theme = now(); };
  apply();
  system.addEventListener("change", apply);
  addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    const say = () => {
      button.textContent = now() === "dark" ? "light" : "dark";
      button.setAttribute("aria-label", `${button.textContent} theme`);
    };
    say();
    button.onclick = () => {
      try { localStorage.setItem("theme", now() === "dark" ? "light" : "dark"); } catch { return; }
      apply();
      say();
      dispatchEvent(new Event("themed"));
    };
  });
})();
