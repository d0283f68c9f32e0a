// Shows the story while it is typed: its page, its digest entry, its share card, and its open checks.
const PAUSE = 900;

export const startLivePreview = (form) => {
  const panel = document.getElementById("live-preview");
  const toggleButton = document.getElementById("toggle-preview");
  const headline = document.getElementById("headline");
  const headlineLength = document.getElementById("headline-length");
  let timer = 0;
  let request = null;

  const replacePart = (name, fresh) => {
    const part = fresh.querySelector(`[data-live="${name}"]`);
    const place = form.querySelector(`[data-place="${name}"]`);
    if (!part || !place) return;
    if (place.closest("#live-preview")) {
      // The form has ids of its own, and links and headings of a preview must not act as real ones.
      for (const node of part.querySelectorAll("[id], [aria-labelledby]")) {
        node.removeAttribute("id");
        node.removeAttribute("aria-labelledby");
      }
      for (const link of part.querySelectorAll("a")) link.removeAttribute("href");
      for (const heading of part.querySelectorAll("h1, h2")) {
        const paragraph = document.createElement("p");
        paragraph.className = `preview-${heading.localName}`;
        paragraph.append(...heading.childNodes);
        heading.replaceWith(paragraph);
      }
    }
    if (place.innerHTML !== part.innerHTML) place.replaceChildren(...part.childNodes);
  };

  const refresh = async () => {
    request?.abort();
    request = new AbortController();
    try {
      const response = await fetch("/newsroom/preview", {
        method: "POST",
        body: new URLSearchParams(new FormData(form)),
        headers: { "X-CSRFToken": form.elements.csrf_token.value },
        redirect: "manual",
        signal: request.signal,
      });
      if (!response.ok) return;
      const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
      for (const part of fresh.querySelectorAll("[data-live]")) replacePart(part.dataset.live, fresh);
      const hint = document.getElementById("preview-age");
      if (hint) hint.hidden = true;
    } catch {
      // The next pause in typing tries again.
    }
  };

  const countHeadline = () => {
    headlineLength.textContent = `Headline: ${[...headline.value].length} of 110 characters`;
  };

  const scheduleRefresh = () => {
    countHeadline();
    clearTimeout(timer);
    timer = setTimeout(refresh, PAUSE);
  };

  const toggle = () => {
    panel.hidden = !panel.hidden;
    form.classList.toggle("previewing", !panel.hidden);
    toggleButton.setAttribute("aria-expanded", String(!panel.hidden));
    toggleButton.textContent = panel.hidden ? "Show preview" : "Hide preview";
    if (!panel.hidden) refresh();
  };

  form.addEventListener("input", scheduleRefresh);
  form.addEventListener("change", scheduleRefresh);
  if (toggleButton) {
    toggleButton.hidden = false;
    toggleButton.addEventListener("click", toggle);
  }
  countHeadline();
  return { toggle };
};
