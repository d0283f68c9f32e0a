// A rich-text list in place of a textarea of bullets. The textarea stays the form's field, in sync with it.
import {
  Bold, BulletList, Document, Editor, Extension, Fragment, Italic, Link, ListItem, Paragraph,
  Slice, Text, UndoRedo,
} from "./vendor/nif-editor-1.js";

const version = new URL(import.meta.url).search;
const { isAddress, lineOf, runsOf } = await import(`./bullet_markdown.js${version}`);
const { cleanHtml, linesOf } = await import(`./pasted_text.js${version}`);

const markOf = (name) => ({ type: name === "em" ? "italic" : "bold" });

const nodeOf = (line) => ({
  type: "listItem",
  content: [{
    type: "paragraph",
    content: runsOf(line).map(([text, marks, address]) => ({
      type: "text",
      text,
      marks: [
        ...marks.split(" ").filter(Boolean).map(markOf),
        ...(address ? [{ type: "link", attrs: { href: address } }] : []),
      ],
    })),
  }],
});

const runsIn = (item) => {
  const runs = [];
  item.firstChild.forEach((node) => {
    const names = node.marks.map((mark) => mark.type.name);
    const marks = [names.includes("italic") && "em", names.includes("bold") && "strong"];
    const link = node.marks.find((mark) => mark.type.name === "link");
    runs.push([node.text, marks.filter(Boolean).join(" "), link ? link.attrs.href : null]);
  });
  return runs;
};

const REFERENCES = /\s*\[(\d{1,2}(?:\s*,\s*\d{1,2})*)\]\s*$/;

// The sources cited by the bullet at the cursor, and where the reference is in its text.
const citedSources = ({ selection: { $from } }) => {
  const text = $from.parent.textContent;
  const found = REFERENCES.exec(text);
  const numbers = found ? found[1].split(",").map(Number) : [];
  const start = $from.start();
  return { numbers, from: start + (found ? found.index : text.length), to: start + text.length };
};

const toggleSource = (editor, n) => {
  const { numbers, from, to } = citedSources(editor.state);
  const cited = numbers.includes(n) ? numbers.filter((number) => number !== n) : [...numbers, n];
  const { tr, schema } = editor.state;
  const reference = ` [${cited.sort((a, b) => a - b).join(", ")}]`;
  editor.view.dispatch(cited.length ? tr.replaceWith(from, to, schema.text(reference)) : tr.delete(from, to));
  editor.commands.focus();
};

const addButton = (toolbar, text, label, onClick) => {
  const made = document.createElement("button");
  Object.assign(made, { type: "button", textContent: text });
  made.setAttribute("aria-label", label);
  made.addEventListener("mousedown", (event) => event.preventDefault());
  made.addEventListener("click", onClick);
  toolbar.append(made);
  return made;
};

export const enhance = (area, form) => {
  const label = form.querySelector(`label[for="${area.id}"]`);
  label.id = `${area.name}-label`;
  const own = area.value.split("\n").map((line) => line.trim()).filter(Boolean);
  // A line that is not edited keeps its exact characters.
  const known = new Map(own.map((line) => [JSON.stringify(runsOf(line)), line]));
  const write = (item) => {
    const runs = runsIn(item);
    return known.get(JSON.stringify(runs)) ?? lineOf(runs);
  };

  const box = document.createElement("div");
  box.className = "rich-bullets";
  const toolbar = document.createElement("div");
  toolbar.className = "rich-toolbar";
  toolbar.setAttribute("role", "toolbar");
  toolbar.setAttribute("aria-label", `Formatting of ${label.textContent.toLowerCase()}`);
  box.append(toolbar);
  area.after(box);

  let askForLink = () => {};
  let marks = [];
  const sources = [];
  const Keys = Extension.create({
    name: "keys",
    addKeyboardShortcuts: () => ({
      "Mod-k": () => {
        askForLink();
        return true;
      },
    }),
  });
  const list = (content) => ({ type: "doc", content: [{ type: "bulletList", content }] });
  const attributes = { role: "textbox", "aria-multiline": "true", "aria-labelledby": label.id, id: area.id };
  for (const name of ["aria-invalid", "aria-describedby"]) {
    if (area.hasAttribute(name)) attributes[name] = area.getAttribute(name);
  }
  area.id = `${area.id}-plain`;
  const editor = new Editor({
    element: box,
    injectCSS: false,
    extensions: [
      Document.extend({ content: "bulletList" }), Paragraph, Text, Bold, Italic, BulletList, Keys,
      ListItem.extend({ content: "paragraph" }), UndoRedo,
      Link.configure({
        autolink: false, linkOnPaste: true, openOnClick: false, isAllowedUri: (url) => isAddress(url),
        HTMLAttributes: { target: null, rel: null },
      }),
    ],
    content: list((own.length ? own : [""]).map(nodeOf)),
    editorProps: {
      attributes,
      transformPastedHTML: (html) => (html.includes("data-pm-slice") ? html : cleanHtml(html)),
      clipboardTextParser: (text, _at, _plain, view) => {
        const schema = view.state.schema;
        const items = linesOf(text).map((line) => schema.nodeFromJSON(nodeOf(line)));
        return new Slice(Fragment.from(schema.nodes.bulletList.create(null, items)), 3, 3);
      },
    },
    onUpdate: () => {
      const lines = [];
      editor.state.doc.firstChild.forEach((item) => lines.push(write(item)));
      area.value = lines.filter(Boolean).join("\n");
      area.dispatchEvent(new Event("input", { bubbles: true }));
    },
    onTransaction: () => updateToolbar(),
  });

  const set = (name) => () => editor.chain().focus()[name]().run();
  marks = [
    [addButton(toolbar, "B", "Bold", set("toggleBold")), "bold"],
    [addButton(toolbar, "I", "Emphasis", set("toggleItalic")), "italic"],
    [addButton(toolbar, "Link", "Link", () => askForLink()), "link"],
  ];
  const count = form.querySelectorAll('[name^="sources-"][name$="-kind"]').length;
  for (let n = 1; n <= count; n += 1) {
    const press = () => toggleSource(editor, n);
    sources.push([addButton(toolbar, `[${n}]`, `Cite source ${n}`, press), n]);
  }
  const address = document.createElement("input");
  Object.assign(address, { type: "url", hidden: true, placeholder: "https://…" });
  address.setAttribute("aria-label", "Address of the link. Enter sets it; empty removes the link");
  toolbar.append(address);

  askForLink = () => {
    address.hidden = false;
    address.value = editor.getAttributes("link").href || "";
    address.focus();
  };
  address.addEventListener("input", (event) => event.stopPropagation());
  address.addEventListener("keydown", (event) => {
    if (!["Enter", "Escape"].includes(event.key)) return;
    event.preventDefault();
    const href = address.value.trim();
    if (event.key === "Enter" && href && !isAddress(href)) {
      address.setAttribute("aria-invalid", "true");
      return;
    }
    address.removeAttribute("aria-invalid");
    address.hidden = true;
    const chain = editor.chain().focus().extendMarkRange("link");
    if (event.key === "Enter") (href ? chain.setLink({ href }) : chain.unsetLink()).run();
    else editor.commands.focus();
  });

  function updateToolbar() {
    if (!marks.length) return;
    const { numbers } = citedSources(editor.state);
    for (const [button, n] of sources) button.setAttribute("aria-pressed", String(numbers.includes(n)));
    for (const [button, name] of marks) button.setAttribute("aria-pressed", String(editor.isActive(name)));
  }
  label.addEventListener("click", () => editor.commands.focus());
  const isTyping = document.activeElement === area;
  area.hidden = true;
  box.append(editor.view.dom);
  if (isTyping) editor.commands.focus("end");
  return editor;
};
