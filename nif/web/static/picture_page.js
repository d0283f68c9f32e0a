// Sets the focus point by a click, warns about files that are too large, and reloads when files are ready.
// The pages work without this script.
"use strict";

(() => {
  const checkFileSize = () => {
    const input = document.getElementById("file");
    const warning = document.getElementById("file-size");
    if (!input || !warning) return;
    input.addEventListener("change", () => {
      const file = input.files[0];
      warning.hidden = !file || file.size <= Number(input.dataset.largest);
    });
    input.form.addEventListener("submit", (event) => {
      if (!warning.hidden) {
        event.preventDefault();
        input.focus();
      }
    });
  };

  const pickFocus = () => {
    const place = document.getElementById("focus-picker");
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

  // While files are being made, checks every two seconds for two minutes and then reloads the page once.
  const reloadWhenReady = () => {
    const notice = document.getElementById("preparing");
    if (!notice) return;
    let touched = false;
    let checks = 0;
    document.addEventListener("input", () => (touched = true));
    const check = async () => {
      checks += 1;
      const answer = await fetch(notice.dataset.page, { cache: "no-store" }).catch(() => null);
      if (answer && answer.ok && !(await answer.text()).includes('id="preparing"')) {
        if (!touched) location.replace(notice.dataset.page);
        else notice.querySelector("b").textContent = "Its files are ready.";
      } else if (checks < 60) {
        setTimeout(check, 2000);
      }
    };
    setTimeout(check, 2000);
  };

  checkFileSize();
  pickFocus();
  reloadWhenReady();
})();
