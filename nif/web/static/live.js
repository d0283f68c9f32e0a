// Shows how it reads while it is written: its page, its lines in a digest, what is missing.
const PAUSE = 900;

export const startLive = (form) => {
  const panel = document.getElementById("live");
  const show = document.getElementById("show-live");
  const headline = document.getElementById("headline");
  const length = document.getElementById("headline-length");
  let timer = 0;
  let asked = null;

  const put = (name, fresh) => {
    const found = fresh.querySelector(`[data-live="${name}"]`);
    const place = form.querySelector(`[data-place="${name}"]`);
    if (!found || !place) return;
    if (place.closest("#live")) {
      // The form has ids of its own, and nothing in a picture of a page is to be followed.
      for (const one of found.querySelectorAll("[id], [aria-labelledby]")) {
        one.removeAttribute("id");
        one.removeAttribute("aria-labelledby");
      }
      for (const link of found.querySelectorAll("a")) link.removeAttribute("href");
      for (const heading of found.querySelectorAll("h1, h2")) {
        const made = document.createElement("p");
        made.className = `as-${heading.localName}`;
        made.append(...heading.childNodes);
        heading.replaceWith(made);
      }
    }
    if (place.innerHTML !== found.innerHTML) place.replaceChildren(...found.childNodes);
  };

  const renew = async () => {
    asked?.abort();
    asked = new AbortController();
    try {
      const answer = await fetch("/newsroom/preview", {
        method: "POST",
        body: new URLSearchParams(new FormData(form)),
        headers: { "X-CSRFToken": form.elements.csrf_token.value },
        redirect: "manual",
        signal: asked.signal,
      });
      if (!answer.ok) return;
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const one of fresh.querySelectorAll("[data-live]")) put(one.dataset.live, fresh);
      const hint = document.getElementById("as-of");
      if (hint) hint.hidden = true;
    } catch {
      // The next stop of typing asks again.
    }
  };

  const count = () => {
    length.textContent = `Headline: ${[...headline.value].length} of 110 characters`;
  };

  const later = () => {
    count();
    clearTimeout(timer);
    timer = setTimeout(renew, PAUSE);
  };

  const toggle = () => {
    panel.hidden = !panel.hidden;
    form.classList.toggle("previewing", !panel.hidden);
    show.setAttribute("aria-expanded", String(!panel.hidden));
    show.textContent = panel.hidden ? "Preview beside" : "Hide the preview";
    if (!panel.hidden) renew();
  };

  form.addEventListener("input", later);
  form.addEventListener("change", later);
  if (show) {
    show.hidden = false;
    show.addEventListener("click", toggle);
  }
  count();
  return { toggle };
};
