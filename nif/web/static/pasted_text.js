// Turns text pasted from a document into clean bullets: words, emphasis and links only.
const version = new URL(import.meta.url).search;
const { isAddress } = await import(`./bullet_markdown.js${version}`);

const BLOCKS = new Set(
  "P DIV LI UL OL H1 H2 H3 H4 H5 H6 TR TD TABLE BLOCKQUOTE PRE SECTION ARTICLE DL DT DD BR HR".split(" "),
);
const DROPPED = new Set("STYLE SCRIPT META LINK TITLE XML IMG SVG NOSCRIPT TEMPLATE OBJECT IFRAME".split(" "));
const MARK = /^[\s\u00a0]*(?:[•·▪◦‣●○§–—o*-]|\d{1,2}[.)])[\s\u00a0]+/u;

// Styles are read, never applied: parsing them as styles would violate the page's content security policy.
const unstyled = (html) =>
  html
    .replace(/<style\b[\s\S]*?(?:<\/style\s*>|$)/gi, "")
    .replace(/<[a-z][^>]*>/gi, (tag) => tag.replace(/([\s"'/])style\s*=/gi, "$1data-style="));

const styleOf = (node) => (node.getAttribute("data-style") || "").toLowerCase();

const isBold = (node, before) => {
  const weight = /font-weight:\s*(\w+)/.exec(styleOf(node))?.[1];
  if (weight) return weight === "bold" || weight === "bolder" || Number(weight) >= 600;
  return before || ["B", "STRONG"].includes(node.tagName);
};

const isItalic = (node, before) => {
  const style = /font-style:\s*(\w+)/.exec(styleOf(node))?.[1];
  if (style) return style === "italic" || style === "oblique";
  return before || ["I", "EM", "CITE"].includes(node.tagName);
};

// The bullets of pasted HTML, each a list of [text, { bold, italic, href }].
export const bulletsOf = (html) => {
  const bullets = [[]];
  const next = () => {
    if (bullets.at(-1).length) bullets.push([]);
  };
  const walk = (node, marks) => {
    if (node.nodeType === Node.TEXT_NODE) {
      const text = node.data.replace(/[\s\u00a0\u200b]+/gu, " ");
      if (text.trim() || (text && bullets.at(-1).length)) bullets.at(-1).push([text, marks]);
      return;
    }
    if (node.nodeType !== Node.ELEMENT_NODE || DROPPED.has(node.tagName.toUpperCase())) return;
    if (/mso-list:\s*ignore|display:\s*none/.test(styleOf(node))) return;
    const isBlock = BLOCKS.has(node.tagName);
    if (isBlock) next();
    const href = node.tagName === "A" ? node.getAttribute("href") || "" : "";
    const inner = {
      bold: isBold(node, marks.bold),
      italic: isItalic(node, marks.italic),
      href: isAddress(href) ? href : marks.href,
    };
    for (const child of node.childNodes) walk(child, inner);
    if (isBlock) next();
  };
  walk(new DOMParser().parseFromString(unstyled(html), "text/html").body, { bold: false, italic: false, href: "" });
  for (const bullet of bullets) {
    if (bullet.length) bullet[0] = [bullet[0][0].replace(MARK, "").trimStart(), bullet[0][1]];
  }
  return bullets.filter((bullet) => bullet.some(([text]) => text.trim()));
};

export const cleanHtml = (html) => {
  const list = document.createElement("ul");
  for (const bullet of bulletsOf(html)) {
    const line = document.createElement("p");
    for (const [text, marks] of bullet) {
      let node = document.createTextNode(text);
      for (const [name, is] of [["em", marks.italic], ["strong", marks.bold], ["a", marks.href]]) {
        if (!is) continue;
        const around = document.createElement(name);
        if (name === "a") around.setAttribute("href", marks.href);
        around.append(node);
        node = around;
      }
      line.append(node);
    }
    const item = document.createElement("li");
    item.append(line);
    list.append(item);
  }
  return list.outerHTML;
};

export const linesOf = (text) =>
  text
    .split(/[\r\n\u2028\u2029]+/u)
    .map((line) => line.replace(MARK, "").replace(/[\s\u00a0\u200b]+/gu, " ").trim())
    .filter(Boolean);
