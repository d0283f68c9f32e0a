// Choosing the focus by a click, a word about files that are too large, and looking again by itself.
// All pages are whole without.
"use strict";

(() => {
  const sizes = () => {
    const input = document.getElementById("file");
    const said = document.getElementById("file-size");
    if (!input || !said) return;
    input.addEventListener("change", () => {
      const file = input.files[0];
      said.hidden = !file || file.size <= Number(input.dataset.largest);
    });
    input.form.addEventListener("submit", (event) => {
      if (!said.hidden) {
        event.preventDefault();
        input.focus();
      }
    });
  };

  const focus = () => {
    const place = document.getElementById("focus");
    const x = document.getElementById("focus_x");
    const y = document.getElementById("focus_y");
    if (!place || !x || !y) return;
    const show = () => {
      for (const circle of place.querySelectorAll("circle")) {
        circle.setAttribute("cx", `${Number(x.value) || 0}%`);
        circle.setAttribute("cy", `${Number(y.value) || 0}%`);
      }
    };
    place.addEventListener("click", (event) => {
      const frame = place.querySelector("img").getBoundingClientRect();
      const part = (at, from, length) =>
        Math.min(100, Math.max(0, ((at - from) / length) * 100)).toFixed(1);
      x.value = part(event.clientX, frame.left, frame.width);
      y.value = part(event.clientY, frame.top, frame.height);
      show();
    });
    x.addEventListener("input", show);
    y.addEventListener("input", show);
    place.classList.add("ready");
    document.getElementById("focus-hint").hidden = false;
  };

  // While files are being made: look every two seconds, for two minutes, and renew the page once.
  const lookAgain = () => {
    const notice = document.getElementById("preparing");
    if (!notice) return;
    let touched = false;
    let looks = 0;
    document.addEventListener("input", () => (touched = true));
    const look = async () => {
      looks += 1;
      const answer = await fetch(notice.dataset.page, { cache: "no-store" }).catch(() => null);
      if (answer && answer.ok && !(await answer.text()).includes('id="preparing"')) {
        if (!touched) location.replace(notice.dataset.page);
        else notice.querySelector("b").textContent = "Its files are made.";
      } else if (looks < 60) {
        setTimeout(look, 2000);
      }
    };
    setTimeout(look, 2000);
  };

  sizes();
  focus();
  lookAgain();
})();
