// Elements made without HTML text: names that a person typed stay text.

export const find = (id) => document.getElementById(id);

// make("button", {class: "small", onclick: f}, "text", element, ...)
export function make(tag, options = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(options)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "colour") made.style.setProperty("--colour", value);
    else if (name === "width") made.style.width = value;
    else if (value !== false && value !== null) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

export function say(text) {
  find("error").textContent = text;
  find("error").hidden = !text;
}

// The thumbnails of the frames that the network reads.
export function frames(id, seconds, name) {
  const every = seconds.map((second, number) =>
    make("li", {}, make("img", {
      src: `/api/frames/${id}/${number}`, width: null, loading: "lazy",
      alt: `frame ${number + 1} of ${seconds.length} of ${name}, at ${second.toFixed(1)} s`,
    })));
  return make("ul", { class: "frames", "aria-label": `frames that the network reads of ${name}` }, ...every);
}

// Files dropped on an element, and files that its input chose.
export function takeFiles(element, take) {
  let inside = 0;
  const mark = (change) => { inside = Math.max(0, inside + change); element.classList.toggle("over", inside > 0); };
  element.addEventListener("dragenter", (event) => { event.preventDefault(); mark(1); });
  element.addEventListener("dragleave", () => mark(-1));
  element.addEventListener("dragover", (event) => event.preventDefault());
  element.addEventListener("drop", (event) => {
    event.preventDefault();
    inside = 0; mark(0);
    take([...event.dataTransfer.files]);
  });
}

const COLOURS = ["#2b6cd9", "#d9822b", "#239b6b", "#b8479f", "#8a6cf0", "#c23b3b", "#2aa2b8", "#8a8d2a"];
export const colourOf = (place) => (place < 0 ? "#8a93a3" : COLOURS[place % COLOURS.length]);
