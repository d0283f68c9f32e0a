// Has the browser compute what the form asks for in an attack, before the form is sent.
// Without this script the form is sent without it, and answered later.
import "./vendor/altcha-3.2.2.js";

const LONGEST = 60000; // After that it is sent without.
const worker = new URL("./vendor/altcha-3.2.2-pbkdf2.js", import.meta.url);
globalThis.$altcha.algorithms.set("PBKDF2/SHA-256", () => new Worker(worker));

for (const widget of document.querySelectorAll("altcha-widget")) {
  const form = widget.closest("form");
  const said = form.querySelector("[data-proof]");
  let proved = false;
  let sending = false;

  const settle = () => {
    proved = true;
    if (sending) form.requestSubmit(sending.submitter);
  };

  widget.addEventListener("statechange", (event) => {
    if (event.detail.state === "verified") {
      said.textContent = "Your browser has shown that it is no machine for sending masses.";
      settle();
    } else if (event.detail.state === "error") {
      settle();
    }
  });

  form.addEventListener("submit", (event) => {
    if (proved) return;
    event.preventDefault();
    if (sending) return;
    sending = { submitter: event.submitter };
    said.textContent = "Computing for a second, then the form is sent by itself …";
    setTimeout(settle, LONGEST);
  });
}
