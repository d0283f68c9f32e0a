// Computes the proof of work that a form asks for in attack mode, before the form is sent.
// Without this script the form is sent without a proof, and a person reviews the sign-up.
import "./vendor/altcha-3.2.2.js";

const MAX_WAIT = 60000; // Milliseconds. After that the form is sent without a proof.
const worker = new URL("./vendor/altcha-3.2.2-pbkdf2.js", import.meta.url);
globalThis.$altcha.algorithms.set("PBKDF2/SHA-256", () => new Worker(worker));

for (const widget of document.querySelectorAll("altcha-widget")) {
  const form = widget.closest("form");
  const status = form.querySelector("[data-proof]");
  let done = false;
  let pending = false;

  const finish = () => {
    done = true;
    if (pending) form.requestSubmit(pending.submitter);
  };

  widget.addEventListener("statechange", (event) => {
    if (event.detail.state === "verified") {
      status.textContent = "Your browser has solved the puzzle.";
      finish();
    } else if (event.detail.state === "error") {
      finish();
    }
  });

  form.addEventListener("submit", (event) => {
    if (done) return;
    event.preventDefault();
    if (pending) return;
    pending = { submitter: event.submitter };
    status.textContent = "Solving a puzzle for a second, then the form is sent …";
    setTimeout(finish, MAX_WAIT);
  });
}
